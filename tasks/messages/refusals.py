"""A producer's message is refused with a result that says why, never with an exception and never in
silence.

A refusal repeats nothing but plain words of what was sent: producers mix up arguments, and results
carry no address.
"""

from __future__ import annotations

import difflib
import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from celery.exceptions import Reject
from redis.exceptions import ResponseError

from worker.errors import UsherError
from worker.plain_word import plain_word
from worker.store.client import OUTAGE

log = logging.getLogger(__name__)

WIRE_VERSION = 1
"""Version of the producers' contract (`docs/producers.md`); a message's own is its `version`."""
TAKES: Mapping[str, tuple[str, ...]] = {
    "usher.invite_guest": ("connection", "email", "wait_s"),
    "usher.invite_guests": ("connection", "rows", "key"),
    "usher.job": ("id",),
    "usher.results": ("id", "after", "limit"),
    "usher.cancel": ("id",),
    "usher.check": ("connection",),
}
"""Each task's arguments in their order, as far as they may be given without a name."""
MOST_ERRORS = 20
"""Sentences in one refusal; the rest are counted."""


class Refused(Exception):
    """The message cannot be accepted; `errors` says why, a sentence each."""

    def __init__(self, *errors: str) -> None:
        super().__init__(" ".join(errors))
        self.errors = list(errors)

    def result(self) -> dict[str, Any]:
        """Return the task's result."""
        shown = self.errors[:MOST_ERRORS]
        if len(self.errors) > MOST_ERRORS:
            shown.append(f"{len(self.errors) - MOST_ERRORS} more of the kind.")
        return {"status": "refused", "errors": shown}


def answer(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do a task's work; whatever goes wrong becomes its result.

    Only Redis being away does not (there would be nowhere to put a result): the message goes back
    to its queue.
    """
    try:
        return work()
    except Refused as refused:
        return refused.result()
    except UsherError as error:
        return Refused(str(error)).result()
    except OUTAGE as error:
        raise Reject(f"Redis is away ({type(error).__name__})", requeue=True) from None
    except Exception as error:  # noqa: BLE001 - a fault of ours: its text may hold an address, its place does not
        text = f" ({error})" if isinstance(error, ResponseError) else ""  # Redis names commands and limits, no values
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("a producer's message ended in %s%s\n%s", type(error).__name__, text, where)
        name = type(error).__name__
        return Refused(
            f"usher failed on this message ({name}); whoever runs it finds the place in the worker's log."
        ).result()


def read_arguments(task: str, args: Iterable[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Join positional and named arguments as Python would, but refuse in words; checks the wire
    version. Raises `Refused`.
    """
    names, given, values = TAKES[task], dict(kwargs), list(args)
    version = given.pop("version", None)
    version = WIRE_VERSION if version is None else version
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Refused(f"version must be a whole number; this worker understands {WIRE_VERSION}. Nothing was accepted.")
    if version > WIRE_VERSION:
        raise Refused(
            f"This message speaks a newer version of the contract than this worker, which understands {WIRE_VERSION};"
            " nothing was accepted: whoever runs usher upgrades its workers."
        )
    if len(values) > len(names):
        raise Refused(f"Too many arguments: this task takes {', '.join(names)} in this order, and the rest by name.")
    for name, value in zip(names, values, strict=False):
        if name in given:
            raise Refused(f"{name} was given twice.")
        given[name] = value
    return given


def take_text(given: dict[str, Any], name: str, *, required: bool = True) -> str:
    """Take a text argument out of `given`. Raises `Refused`."""
    value = given.pop(name, None)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"{name} is missing or not a text.")
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and nothing can store
        raise Refused(f"{name} is not valid Unicode.") from None
    return value.strip()


def take_number(given: dict[str, Any], name: str, default: float, *, least: float = 0, most: float) -> float:
    """Take a number from `least` to `most` out of `given`; more is cut. Raises `Refused`."""
    value = given.pop(name, default)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value < least:
        raise Refused(f"{name} must be a number, {least:g} or more.")
    return float(min(value, most))  # in this order: a whole number in JSON may be larger than any float


def refuse_unknown(given: Iterable[object], known: Iterable[str]) -> None:
    """Refuse fields nobody knows, naming what was perhaps meant. Raises `Refused`."""
    names, errors = list(known), []
    for name in given:
        if name in names:
            continue
        shown = plain_word(name)
        close = difflib.get_close_matches(shown, names, 1)
        errors.append(f"{shown} is not a field{f'; did you mean {close[0]}?' if close else '.'}")
        if len(errors) > MOST_ERRORS:
            break
    if errors:
        raise Refused(*errors)
