"""A secret cannot be shown by accident: not printed, logged, formatted, pickled, dumped as JSON or
dumped by pydantic.

It guards against accidents (a repr in a traceback, an f-string in a log line, an argument of a
Celery message), not against code that means to read it: `reveal()` is the one way in and easy to
search for.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, final

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

MASK = "***"


@final
class Secret:
    """A text that stays hidden until `reveal()`. Comparison takes the same time wherever the
    difference is; no hash.
    """

    __slots__ = ("__value",)

    __value: str
    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as a key of a dict it would be compared byte by byte

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a Secret is made from str, not {type(value).__name__}")
        object.__setattr__(self, "_Secret__value", value)

    def reveal(self) -> str:
        """Return the text itself. Keep it in as few names as possible."""
        return self.__value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        ours, theirs = (s.reveal().encode("utf-8", "surrogatepass") for s in (self, other))
        return hmac.compare_digest(ours, theirs)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK  # whatever the width asked for: a padded mask would tell the reader nothing more

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self  # immutable, and one copy in memory is enough

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is never pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: Any) -> CoreSchema:
        """As a pydantic field: takes a Secret or a str, and is dumped as the mask in every mode."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            _from_field,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda _: MASK, return_schema=core_schema.str_schema()
            ),
        )


def _from_field(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    raise ValueError("must be text")
