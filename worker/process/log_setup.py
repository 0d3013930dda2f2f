"""Celery's programs log in usher's form: worker and beat through Celery's own signal, Flower where
`worker.flower` asks for it.

Settings come from `[logs]`; `-l` on the command line wins. In JSON the start-up banner is left out,
and what Celery says on a signal is a line like any other.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import click
from celery import _state
from celery.signals import celeryd_init, setup_logging
from click.core import ParameterSource

from worker import logs


def set_up(level: int | None = None, logfile: str | None = None) -> None:
    """Set the process's log up by the settings; `level` wins over theirs."""
    from worker.process.process_settings import find_process_settings

    told = find_process_settings().settings().logs
    logs.set_up(told.form, told.number if level is None else level, logfile, _add_task)


@setup_logging.connect(weak=False)
def _set_up_program(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
    context = click.get_current_context(silent=True)
    given = context is None or context.get_parameter_source("loglevel") is not ParameterSource.DEFAULT
    set_up(loglevel if given else None, logfile)


@celeryd_init.connect(weak=False)
def _keep_to_the_form(instance: Any = None, **_: Any) -> None:
    from celery.apps import worker as worker_program

    from worker.process.process_settings import find_process_settings

    set_up()  # Celery's first warnings come before it asks for a log
    if logs.is_json(find_process_settings().settings().logs.form, sys.stdout):
        instance.quiet = True
        worker_program.safe_say = _say


def _say(message: str, file: Any = None) -> None:
    """Write one line from within a signal's handler, where a logger's lock may be taken."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    line = {"timestamp": now, "level": "info", "event": message.strip(), "logger": "celery.apps.worker"}
    stream: Any = file or sys.__stderr__
    try:
        os.write(stream.fileno(), f"{json.dumps(line)}\n".encode())
    except (OSError, ValueError):  # nobody reads any more
        logging.raiseExceptions = False


def _add_task(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say of a line from a task's thread whose it is, and of usher's own what it works on."""
    task = _state.get_current_task()
    request = None if task is None else task.request
    if request is None or not request.id:
        return line
    line.setdefault("task_id", str(request.id))
    match [task.name, *(request.args or ())]:
        case ["usher.run_chunk", str(job), int(chunk), str(connection)]:
            return {"job": job, "chunk": chunk + 1, "connection": connection, **line}
        case ["usher.settle", _, _, str(connection)]:
            line.setdefault("connection", connection)
    return line
