"""Every program logs in one form: read by people on a terminal, JSON elsewhere; nothing personal in
either.

Whoever logs uses the standard library; structlog renders what arrives at the root, be it usher's,
Celery's, kombu's or aiohttp's. Keys of a line: `timestamp` (UTC), `level`, `logger`, `event`, and
where known `job`, `chunk`, `connection`, `task_id`, `request_id` (Microsoft's), `client_request_id`
(of the call sent last). What happens in a block is bound to it with `bound`.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager
from logging.handlers import WatchedFileHandler
from typing import Any, Literal, TextIO

from worker.masking import mask_text, mask_value

# structlog is imported where it is used: it takes 0.1 s, and the private stack's supervisor has to
# be up at once.

Form = Literal["auto", "json", "human"]
_Line = MutableMapping[str, Any]
_Step = Callable[[Any, str, _Line], _Line]

EXTRAS = ("job", "chunk", "chunks", "connection", "request_id", "counts", "took_s")
"""What a call may add with `extra=`."""
# Each message is announced and its end told at INFO by Celery: three lines a chunk where usher's
# own says it all in one.
_TALKATIVE = ("celery.worker.strategy", "celery.app.trace")
_FIRST = ("timestamp", "level", "event", "job", "chunk", "connection")


def bound(**values: Any) -> AbstractContextManager[None]:
    """Put `values` on every line that is logged in the block, by this task or thread and those it
    starts.
    """
    from structlog.contextvars import bound_contextvars

    return bound_contextvars(**values)


def bind(**values: Any) -> None:
    """Put `values` on every further line of this task or thread."""
    from structlog.contextvars import bind_contextvars

    bind_contextvars(**values)


def is_json(form: Form, stream: TextIO | None = None) -> bool:
    """Whether lines are JSON: always, never, or where nobody reads along."""
    return form == "json" or (form == "auto" and not _is_terminal(stream or sys.stderr))


def set_up(form: Form = "auto", level: int = logging.INFO, logfile: str | None = None, *more: _Step) -> None:
    """Send everything that is logged to stderr, or to a file, in one form. `more`: steps that add
    keys to a line.
    """
    handler: logging.Handler = (
        WatchedFileHandler(logfile, encoding="utf-8", errors="backslashreplace")
        if logfile
        else logging.StreamHandler(sys.__stderr__)
    )
    as_json = form == "json" or (form == "auto" and (bool(logfile) or is_json(form)))
    handler.setFormatter(build_formatter(as_json, *more, colors=not logfile and _is_terminal(sys.stderr)))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # it would print a record's arguments, unmasked, where a line cannot be written
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING if level > logging.DEBUG else logging.NOTSET)


def build_formatter(as_json: bool, *more: _Step, colors: bool = False) -> logging.Formatter:
    """Build what turns a record of the standard library into a line."""
    return _Careful(_build_formatter(as_json, *more, colors=colors))


class _Careful(logging.Formatter):
    """A record that cannot be rendered (arguments that do not fit the text) is told of by its
    place, without its words.
    """

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        try:
            return self._formatter.format(record)
        except Exception as error:  # noqa: BLE001 - a log is never a reason to fail
            told = f"a line from {record.name}:{record.lineno} could not be written ({type(error).__name__})"
            return self._formatter.format(logging.LogRecord(__name__, logging.ERROR, __file__, 0, told, (), None))


def _build_formatter(as_json: bool, *more: _Step, colors: bool) -> logging.Formatter:
    import structlog
    from structlog.stdlib import ProcessorFormatter

    steps: list[Any] = [
        ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.StackInfoRenderer(),
        _mask,
        _order,
    ]
    if as_json:
        steps.append(structlog.processors.JSONRenderer(ensure_ascii=False))
    else:
        # The plain form of a traceback: rich's shows the values of variables, addresses among them.
        plain = structlog.dev.plain_traceback
        steps += [_shorten, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, sort_keys=False)]
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=EXTRAS),
        _add_time,
        *more,
    ]
    return ProcessorFormatter(foreign_pre_chain=before, processors=steps)


class SmallFormatter(logging.Formatter):
    """The same lines without structlog, for a supervisor, which has to be up at once."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        event = mask_text(record.getMessage())
        if record.exc_info:
            event += "\n" + mask_text(self.formatException(record.exc_info))
        level, at = record.levelname.lower(), _time_of(record)
        if not self._as_json:
            return f"{at} [{level}] {event}"
        line = {"timestamp": at, "level": level, "event": event, "logger": record.name}
        return json.dumps(line, ensure_ascii=False)


def set_up_small(form: Form = "auto", log: int | None = None) -> None:
    """Send what a supervisor logs to stderr; with an open `log` all of it there, and to stderr what
    somebody has to know.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SmallFormatter(is_json(form)))
    handlers: list[logging.Handler] = [handler]
    if log is not None:
        handler.setLevel(logging.WARNING)
        # A descriptor, which stays open for as long as this process runs
        full = logging.StreamHandler(open(log, "a", encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115, PTH123
        full.setFormatter(SmallFormatter(form != "human"))
        handlers.append(full)
    logging.basicConfig(level=logging.INFO, handlers=handlers)


def read_event(line: str) -> str:
    """Return what a line of a log says, without the rest where it is JSON."""
    if line.startswith("{"):
        try:
            found = json.loads(line).get("event")
        except ValueError:
            return line
        return found if isinstance(found, str) and found else line
    return line


def _is_terminal(stream: Any) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())


def _time_of(record: logging.LogRecord) -> str:
    at = time.gmtime(record.created)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', at)}.{int(record.created * 1e6) % 1_000_000:06d}Z"


def _add_time(_: Any, __: str, line: _Line) -> _Line:
    line["timestamp"] = _time_of(line["_record"])
    return line


def _mask(_: Any, __: str, line: _Line) -> _Line:
    return {key: mask_value(value) for key, value in line.items()}


def _order(_: Any, __: str, line: _Line) -> _Line:
    return {key: line[key] for key in (*(k for k in _FIRST if k in line), *(k for k in line if k not in _FIRST))}


def _shorten(_: Any, __: str, line: _Line) -> _Line:
    """Leave out what the words of the line say already; ids are for programs."""
    kept = {key: value for key, value in line.items() if key not in ("counts", "took_s", "chunks", "task_id")}
    kept["timestamp"] = str(kept["timestamp"])[:19] + "Z"
    return kept
