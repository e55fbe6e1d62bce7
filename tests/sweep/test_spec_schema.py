"""The JSON schema that editors read is the one that the code has, and it knows every key of the shipped configs."""

from __future__ import annotations

import tomllib

import pytest

from sweep.config import SECTIONS
from sweep.schema import FILE, json_schema, text
from sweep.shipped import configs_directory


def test_the_schema_file_is_current():
    file = configs_directory() / FILE
    assert file.read_text(encoding="utf-8") == text(), "run `python -m sweep.schema`"


def test_the_schema_is_draft_2020_12_and_closed():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["sweep", "outcomes"]
    assert set(schema["properties"]) == set(SECTIONS)
    tables = [schema, *(table for table in schema["$defs"].values() if table["type"] == "object")]
    assert all(table["additionalProperties"] is False for table in tables)
    assert '"null"' not in text()


@pytest.mark.parametrize("path", sorted(configs_directory().glob("*.toml")), ids=lambda path: path.stem)
def test_the_schema_knows_the_keys_of_the_configs(path):
    schema = json_schema()
    sections = {key: value.get("$ref", "").rsplit("/", 1)[-1] for key, value in schema["properties"].items()}
    for section, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
        known = schema["$defs"].get(sections[section], {}).get("properties")
        assert known is None or set(table) <= set(known)
