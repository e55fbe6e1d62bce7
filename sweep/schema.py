"""The JSON schema of a config, by which editors check and complete it: `python -m sweep.schema` writes configs/siesweep.schema.json."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from sweep.config import Config
from sweep.shipped import configs_directory

FILE = "siesweep.schema.json"


class _WithoutNull(GenerateJsonSchema):
    """TOML has no null: what may be left out has no null for a value, nor for a default."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        return {key: value for key, value in written.items() if key != "default" or value is not None}


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    schema = Config.model_json_schema(schema_generator=_WithoutNull, mode="validation")
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "siesweep config"}


def text() -> str:
    """The schema as its file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (configs_directory() / FILE).write_text(text(), encoding="utf-8")
