"""A section is a table of the configuration: how a model of one is built, and the checks that
several of them share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
)

from config.references import AssertionSource, Reference
from config.values import parse_choice, parse_domain, parse_flag


class Section(BaseModel):
    """A table of the configuration: immutable, strict about names, silent about values."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # an input may be a secret in the wrong place
        validate_default=True,
        populate_by_name=True,
    )

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every reference that the table holds, those of its inner tables too."""
        return tuple(_references_in(self))


def _references_in(value: object) -> Iterator[Reference]:
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, AssertionSource):
        yield from _references_in(value.file)
    elif isinstance(value, (Section, tuple)):
        for one in value if isinstance(value, tuple) else vars(value).values():
            if one and isinstance(one, _HOLDERS):  # asked of each setting of ten thousand connections
                yield from _references_in(one)


_HOLDERS = (Reference, AssertionSource, Section, tuple)


_S = TypeVar("_S", bound=Section)
_R = TypeVar("_R", Reference, AssertionSource)


def build_section(
    model: type[_S], values: Mapping[str, object], context: Mapping[str, object]
) -> tuple[_S | None, list[tuple[tuple[str | int, ...], str]]]:
    """Return a section, or where and in half a sentence what is wrong with it."""
    try:
        return model.model_validate(dict(values), context=dict(context), by_alias=True, by_name=False), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    faults = []
    for fault in found:
        where = tuple(part for part in fault["loc"] if part != "name")  # a bad name is a fault of the whole table
        if fault["loc"]:  # one without a place is a model's own check of the credential, made by whoever reads it
            faults.append((where, _predicate(fault)))
    return None, faults


def _predicate(fault: Any) -> str:
    """Return our half sentence for one of pydantic's faults; its own texts may hold the value."""
    if fault["type"] == "missing":
        return "is missing"
    return str(fault["ctx"]["error"]) if fault["type"] == "value_error" else "has a value of the wrong type"


# Each validator below is the whole check of its field (PlainValidator), so that every fault is a
# sentence of ours and holds no value.


def optional(parse: Callable[..., Any], *more: object) -> PlainValidator:
    """Return the check of a setting that may be left out; else `parse` reads it, told `more`."""
    return PlainValidator(lambda value: None if value is None else parse(value, *more))


def one_of(*words: str) -> PlainValidator:
    """Return the check of a setting that is one of some words."""
    return PlainValidator(partial(parse_choice, choices=words))


def _base(info: ValidationInfo) -> Path:
    """Where a relative path starts: at the file it was written in; one from the environment at the
    current folder.
    """
    context: dict[str, Any] = info.context or {}
    if info.field_name in context.get("from_environment", ()):
        return Path.cwd()
    return context.get("base") or Path.cwd()


def check_reference(value: object, info: ValidationInfo) -> Reference:
    """Return a reference, its path made absolute. Raises ValueError with half a sentence."""
    return _check(Reference, value, info)


def _check(kind: type[_R], value: object, info: ValidationInfo) -> _R:
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise ValueError(kind.WANTED)
    context: dict[str, Any] = info.context or {}
    key = ".".join(filter(None, (context.get("section"), info.field_name)))
    return kind.parse(value.strip(), base=_base(info), key=key)


def _optional(kind: type[_R]) -> PlainValidator:
    return PlainValidator(lambda value, info: None if value is None else _check(kind, value, info))


_SHOWN = PlainSerializer(lambda reference: reference and str(reference))


def as_list(value: object) -> list[object]:
    """Take one value for a list of one: most have a single secret, a single domain."""
    if isinstance(value, list | tuple):
        return list(value)
    return [value]


def path_of(what: str) -> PlainValidator:
    """Return the check of a path, which it completes. That the file is there is checked where it
    is used.
    """

    def check(value: object, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise ValueError(f"must be the path of {what}")
        return os.path.normpath(_base(info) / value)

    return PlainValidator(check)


References = Annotated[
    tuple[Annotated[Reference, PlainValidator(check_reference), PlainSerializer(str)], ...], BeforeValidator(as_list)
]
OptionalReference = Annotated[Reference | None, _optional(Reference), _SHOWN]
OptionalAssertion = Annotated[AssertionSource | None, _optional(AssertionSource), _SHOWN]
Domains = Annotated[tuple[Annotated[str, PlainValidator(parse_domain)], ...], BeforeValidator(as_list)]
Flag = Annotated[bool, PlainValidator(parse_flag)]
