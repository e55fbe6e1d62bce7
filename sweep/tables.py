"""Tables of a config: the base class that refuses unknown keys, the kinds of numbers, and pydantic's findings told as one SpecError.

Types are strict: true is not a number, "3" is not 3, and 1e6 is not a whole number.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sweep.errors import Fault, Keys, SpecError, at, dotted, near

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
PositiveNumber = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
Interval = tuple[Number, Number]

T = TypeVar("T", bound=BaseModel)


class Table(BaseModel):
    """A table of the config. `example` is shown where something else stands in its place; `hints` tell what to write for
    likely unknown keys, and under "[]" for a list."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    example: ClassVar[str] = "{ … }"
    hints: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _is_a_table_of_known_keys(cls, given: Any) -> Any:
        if isinstance(given, BaseModel):
            return given
        if not isinstance(given, Mapping):
            hint = cls.hints.get("[]") if isinstance(given, (list, tuple)) else None
            raise Fault("a table is wanted here", hint or f"write {cls.example}")
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in given:
            if key not in known:
                fix = cls.hints.get(key) or near(str(key), known, "allowed keys")
                raise Fault("unknown key", fix, str(key))
        return given


def is_power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def ordered(interval: Interval) -> Interval:
    """The interval, if its ends are in order. Raises Fault."""
    low, high = interval
    if low >= high:
        raise Fault(f"the low end {low:g} is not below the high end {high:g}", "write [low, high] with low < high")
    return interval


def without_duplicates(values: tuple[float, ...]) -> tuple[float, ...]:
    """The values, if no two are equal. Raises Fault."""
    for first, second in itertools.pairwise(sorted(values)):
        if first == second:
            raise Fault(f"{first:g} is given more than once", "give each value once")
    return values


def validated(table: type[T], given: object, file: str) -> T:
    """`given` as a `table`. Raises SpecError for the first thing that is wrong; `file` is what errors call its place."""
    try:
        return table.model_validate(given)
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
    # Tags of a union, written <…>, are ours and not keys of the file.
    keys = [key for key in finding["loc"] if not str(key).startswith("<")]
    fault = finding.get("ctx", {}).get("error")
    if isinstance(fault, Fault):
        keys += fault.keys
        problem, fix = fault.problem, fault.fix
    elif finding["type"] == "missing" and isinstance(keys[-1], int):
        keys.pop()
        problem, fix = "two numbers are wanted", "write [low, high]"
    else:
        problem, fix = _told(finding["type"], finding.get("ctx", {}), finding["input"], keys)
        if finding["type"] == "missing" and len(keys) == 1 and _is_section(table, str(keys[0])):
            fix = f"add a section [{keys[0]}]"
    raise SpecError(file, dotted(keys), at(given, keys), problem, fix)


def _is_section(table: type[BaseModel], key: str) -> bool:
    """Whether a table of its own stands under this key."""
    kind = table.model_fields[key].annotation
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _told(kind: str, context: Mapping[str, Any], value: object, keys: Keys) -> tuple[str, str]:
    """Problem and fix for each kind of finding that the types of our tables can give rise to."""
    if kind == "missing":
        return "missing", f"add {keys[-1]} = …"
    if kind in ("float_type", "finite_number"):
        if kind == "finite_number":
            return "not a finite number", "write a finite number"
        return "a number is wanted", _unquoted(value) or "write a number, e.g. 0.3"
    if kind in ("int_type", "int_from_float"):
        if isinstance(value, float) and value.is_integer():
            return "a whole number is wanted", f"write {int(value)}, without a point or an exponent"
        return "a whole number is wanted", _unquoted(value) or "write a whole number, e.g. 4096"
    if kind == "literal_error":
        return "not one of the allowed values", near(str(value), re.findall(r"'([^']*)'", context["expected"]), "allowed values")
    if kind in _KINDS:
        problem, fix = _KINDS[kind]
        shown = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in context.items()}
        return problem.format(**shown), fix.format(**shown)
    return "not allowed here", "compare with the config format in the documentation"


_KINDS = {
    "bool_type": ("true or false is wanted", "write true or false"),
    "bool_parsing": ("true or false is wanted", "write true or false"),
    "string_type": ("a text is wanted", "write it in quotes"),
    "tuple_type": ("a list is wanted", "write it in brackets, [ … ]"),
    "dict_type": ("a table is wanted here", "write {{ key = value }}, or a section of its own"),
    "greater_than": ("must be greater than {gt}", "use a value above {gt}"),
    "greater_than_equal": ("must be at least {ge}", "use {ge} or more"),
    "less_than": ("must be less than {lt}", "use a value below {lt}"),
    "less_than_equal": ("must be at most {le}", "use {le} or less"),
    "string_pattern_mismatch": ("not a name", "use letters, digits and _ only"),
    "too_short": ("too few values", "give at least {min_length}"),
    "too_long": ("too many values", "give no more than {max_length}"),
}


def _unquoted(value: object) -> str:
    """The fix for a number in quotes, or nothing."""
    if not isinstance(value, str):
        return ""
    try:
        float(value)
    except ValueError:
        return ""
    return f"remove the quotes: {value.strip()}"
