"""What pydantic finds wrong in a request is said in usher's own words, which are simple English and
repeat nothing of what was sent: it may be a person. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, Field


class Fault(BaseModel):
    """One place in what was sent that is wrong."""

    field: str = Field(description="The field or column; empty where it is the whole.")
    reason: str = Field(description="What is wrong with it, as a sentence.")
    row: int | None = Field(default=None, description="The row of the list, from 1.")
    line: int | None = Field(default=None, description="The line of the file.")


_REASONS: Final[Mapping[str, str]] = {
    "missing": "Is missing.",
    "extra_forbidden": "Is no field that is known here.",
    "string_type": "Must be text.",
    "string_too_short": "Must have at least {min_length} characters.",
    "string_too_long": "Must have at most {max_length} characters.",
    "string_pattern_mismatch": "Is not written as such a value must be.",
    "int_type": "Must be a whole number.",
    "int_parsing": "Must be a whole number.",
    "int_from_float": "Must be a whole number.",
    "greater_than_equal": "Must be {ge} or more.",
    "less_than_equal": "Must be {le} or less.",
    "bool_type": "Must be true or false.",
    "bool_parsing": "Must be true or false.",
    "list_type": "Must be a list.",
    "dict_type": "Must be an object with fields.",
    "model_type": "Must be an object with fields.",
    "model_attributes_type": "Must be an object with fields.",
    "enum": "Must be {expected}.",
    "literal_error": "Must be {expected}.",
    "too_short": "Must have {min_length} or more of them, and has {actual_length}.",
    "too_long": "Must have {max_length} of them or fewer.",
    "json_invalid": "Is no JSON.",
}
"""https://docs.pydantic.dev/latest/errors/validation_errors/; of another kind pydantic's own words
are told.
"""


def find_faults(errors: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Return where pydantic found faults."""
    return [_fault(one) for one in errors]


def _fault(error: Mapping[str, Any]) -> Fault:
    if error["type"] == "json_invalid":
        return Fault(field="body", reason=_reason(error))  # its place is that of a sign
    place = [part for part in error["loc"] if part not in ("body", "query", "path", "header")]
    row = next((part + 1 for part in place if isinstance(part, int)), None)
    named = ".".join(str(part) for part in place if isinstance(part, str))
    return Fault(field=named, reason=_reason(error), row=row)


def _reason(error: Mapping[str, Any]) -> str:
    kind, facts = str(error.get("type", "")), error.get("ctx") or {}
    if words := _REASONS.get(kind):
        return words.format_map({name: f"{fact:,}" if isinstance(fact, int) else fact for name, fact in facts.items()})
    reason = str(error["msg"]).removeprefix("Value error, ")
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
