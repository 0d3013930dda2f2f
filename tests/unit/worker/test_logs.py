"""The two forms of a line, what is bound to it, and that a record that cannot be rendered tells
nothing of its arguments.
"""

from __future__ import annotations

import json
import logging
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from worker.logs import SmallFormatter, bind, bound, build_formatter, is_json, read_event


def _record(text: str, *args: Any, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("usher.test").makeRecord(
        "usher.test", level, __file__, 7, text, args, None, extra=extra or None
    )


def _line(record: logging.LogRecord) -> Any:
    return json.loads(build_formatter(True).format(record))


def test_a_line_is_one_object_with_its_place() -> None:
    """Words first, then what programs look for; the time is UTC."""

    def log() -> Any:
        with bound(job="j1", chunk=2, connection="contoso"):
            bind(client_request_id="r1")
            return _line(_record("job %s: %d rows", "j1", 3, request_id="m1", counts={"invited": 3}))

    line = copy_context().run(log)
    assert line.pop("timestamp").endswith("Z")
    assert list(line)[:2] == ["level", "event"]
    assert line == {
        "level": "info",
        "event": "job j1: 3 rows",
        "job": "j1",
        "chunk": 2,
        "connection": "contoso",
        "client_request_id": "r1",
        "request_id": "m1",
        "counts": {"invited": 3},
        "logger": "usher.test",
    }


def test_what_was_bound_ends_with_its_block() -> None:
    """The next chunk of the same thread is another one."""
    with bound(job="j1"):
        pass
    assert "job" not in _line(_record("x"))


def test_nothing_but_known_extras_is_written() -> None:
    """A library's `extra` may hold a task's arguments: Celery's does."""
    assert "data" not in _line(_record("x", data={"args": "(1, 2)"}))


def test_people_read_words() -> None:
    """On a terminal: one line, no braces, the numbers that the words say already left out."""
    line = build_formatter(False).format(_record("job j1: 3 rows", job="j1", counts={"invited": 3}, took_s=1.0))
    assert "\n" not in line
    assert "job j1: 3 rows" in line
    assert "job=j1" in line
    assert "counts" not in line
    assert "{" not in line


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_variables(as_json: bool) -> None:
    """Only the code's own lines."""

    def fail() -> None:
        whom = f"Ann {'Private'}"
        raise ValueError(len(whom))

    try:
        fail()
    except ValueError as error:
        record = _record("it failed", level=logging.ERROR)
        record.exc_info = (ValueError, error, error.__traceback__)
    text = build_formatter(as_json).format(record)
    assert "in fail" in text
    assert "Ann Private" not in text


def test_a_record_that_cannot_be_rendered_keeps_its_arguments() -> None:
    """Too many arguments: the standard library would print them all to stderr."""
    line = _line(_record("only %s", "one", "ann@private.example"))
    assert line["event"] == "a line from usher.test:7 could not be written (TypeError)"
    assert "private" not in json.dumps(line)


def test_the_supervisors_lines_have_the_same_keys() -> None:
    """Written without structlog, which takes too long to load there."""
    small = json.loads(SmallFormatter(True).format(_record("a %s", "b@mail.example")))
    full = _line(_record("a %s", "b@mail.example"))
    assert small.keys() == full.keys()
    assert small["event"] == full["event"] == "a b***@mail.example"
    assert "b***@mail.example" in SmallFormatter(False).format(_record("a %s", "b@mail.example"))


def test_auto_is_json_where_nobody_reads_along() -> None:
    """A file or a pipe is no terminal; the setting wins over both."""
    with Path("/dev/null").open(encoding="utf-8") as stream:
        assert is_json("auto", stream)
        assert not is_json("human", stream)


@pytest.mark.parametrize(
    ("line", "said"), [("plain", "plain"), ('{"event": "it ended"}', "it ended"), ("{odd", "{odd"), ("{}", "{}")]
)
def test_the_words_of_a_line_are_found_again(line: str, said: str) -> None:
    """What a child said last becomes a sentence for the person at the keyboard."""
    assert read_event(line) == said
