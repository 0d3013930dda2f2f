"""Flower starts by `celery -A worker flower`: closed unless told otherwise, and showing a chunk in
words.

Flower has no place for an application's defaults, but it imports the application's tasks before it
opens its port; here that moment is used. An option that was given, on the command line or as
`FLOWER_…`, wins; only a login is insisted on where others could reach the port.
"""

from __future__ import annotations

import ast
import hashlib
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from celery import current_app
from celery.signals import import_modules

from config.values import is_loopback
from worker.ledger.why_waiting import describe_run
from worker.process.flower_options import LEVELS, NotStarted, end
from worker.stack.folders import StackError, find_folders

log = logging.getLogger(__name__)

COLUMNS = "name,uuid,state,args,result,received,runtime,worker"
"""`args` is job, chunk n of m and connection; `result` the chunk's counts."""
MOST_TASKS = 10_000
"""Kept in memory and in the store: a million rows in chunks of a hundred. Flower's own 100,000 take
a few hundred MB.
"""
SAVE_EVERY_MS = 60_000
FORGET_WORKERS_S = 3_600
"""A container that is replaced leaves a name behind that nobody bears again."""
_LOGIN = (
    "FLOWER_BASIC_AUTH=NAME:PASSWORD (a variable rather than an option: the host's list of processes shows options)"
)
_PLACE = ("job", "chunk", "chunks", "runs", "connection")


@import_modules.connect(weak=False)
def _on_import(**_: Any) -> None:
    """Only in Flower: every program of Celery's imports the tasks."""
    context = click.get_current_context(silent=True)
    if context is None or context.command.name != "flower":
        return
    from tornado.options import options

    from worker.process.log_setup import set_up

    set_up(LEVELS[options.logging.lower()] if _is_given(options, "logging") else None)
    try:
        prepare(options)
        look_for_port(options)
        current_app.conf.broker_transport_options = keep_to_own_messages(current_app.conf.broker_transport_options)
    except NotStarted as error:
        raise end(error) from None


def prepare(options: Any) -> None:
    """Set what was not given, and look at what was. Raises `NotStarted`."""
    _set(options, "address", "127.0.0.1", given=bool(options.address))
    _set(options, "read_only", True)
    _set(options, "tasks_columns", COLUMNS)
    _set(options, "max_tasks", MOST_TASKS)
    _set(options, "purge_offline_workers", FORGET_WORKERS_S)
    _set(options, "format_task", format_task)
    _set(options, "persistent", True)
    _check_login(options)
    if options.persistent:
        _choose_store(options)
    if options.basic_auth or options.auth:
        _close_metrics()


def keep_to_own_messages(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give Flower's consumer a place of its own for what is not acknowledged yet.

    kombu has every consumer give back what others took and never acknowledged. Flower would so
    write to any queue, for which a login of its own has no right, and should have none.
    """
    if "global_keyprefix" not in options:  # RabbitMQ, where the broker itself does that
        return dict(options)
    own = ("unacked", "unacked_index", "unacked_mutex")
    return {**options, **{f"{name}_key": f"celeryev.{name}" for name in own}}


def look_for_port(options: Any) -> None:
    """See that the port can be had: Flower itself would end in a traceback. Raises `NotStarted`."""
    if options.unix_socket or not options.port:
        return
    family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            # As Flower does, so as not to stumble over what is left of the last one.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((options.address.strip("[]"), options.port))
    except (OSError, OverflowError) as error:
        raise NotStarted(
            f"Flower cannot listen on {options.address} port {options.port} ({_reason(error)}): "
            "whoever starts it chooses another with --port or FLOWER_PORT."
        ) from None


def _reason(error: OSError | OverflowError) -> str:
    return str(getattr(error, "strerror", None) or error).lower()


def format_task(task: Any) -> Any:
    """Say a chunk's counts in words: `98 invited, 2 failed`. Flower hands over a copy, and shows
    what comes back.
    """
    if task.name in ("usher.run_chunk", "usher.settle") and isinstance(task.result, str):
        task.result = describe_counts(task.result)
    return task


def describe_counts(shown: str) -> str:
    """Turn the counts among a task's result, as Python shows it, into words; anything else stays as
    it is. Pure.
    """
    try:
        found = ast.literal_eval(shown)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return shown  # cut off, or no result of ours
    if not isinstance(found, dict):
        return shown
    if "not_run" in found:
        return f"not run: {found['not_run']}"
    counts = {key: value for key, value in found.items() if key not in _PLACE and isinstance(value, int)}
    words = ", ".join(f"{count} {str(word).replace('_', ' ')}" for word, count in sorted(counts.items()))
    if "chunks" in found:
        return describe_run(words, str(found.get("rest", "")), int(found.get("runs", 1)))
    return words or "nothing was due"  # rows in doubt


def _is_given(options: Any, name: str) -> bool:
    option = options._options[name.replace("_", "-")]  # tornado has no public question for it
    return option._value is not type(option).UNSET


def _set(options: Any, name: str, value: Any, *, given: bool | None = None) -> None:
    if not (_is_given(options, name) if given is None else given):
        setattr(options, name, value)


def _check_login(options: Any) -> None:
    """A page that anybody may open shows every job, connection and worker to anybody."""
    logins = options.basic_auth or []
    if any(not all(login.partition(":")[::2]) for login in logins):
        raise NotStarted(
            "A login for Flower is NAME:PASSWORD, neither of them empty: whoever starts it corrects FLOWER_BASIC_AUTH."
        )
    if logins or options.auth:
        return
    if not options.unix_socket and not is_loopback(options.address):
        raise NotStarted(
            f"Flower would show every job, connection and worker to whoever reaches {options.address}, so it is not"
            f" started: set {_LOGIN}, or leave the address at 127.0.0.1."
        )
    if options.url_prefix or options.xheaders:
        log.warning(
            "Flower has no login: a proxy in front shows its pages to everybody unless it asks for one; set %s", _LOGIN
        )


def _choose_store(options: Any) -> None:
    """Decide where tasks are kept over a restart: in a file for this user alone. It is unpickled,
    so nobody else may write there.
    """
    os.umask(0o077)
    _set(options, "state_save_interval", SAVE_EVERY_MS)
    if _is_given(options, "db"):
        folder = Path(options.db).absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise NotStarted(
                f"{folder} is no folder that Flower may write its store to: whoever starts it corrects --db, or gives"
                " --persistent=False."
            )
        return
    try:
        options.db = str(_own_store())
    except (OSError, StackError) as error:
        options.persistent = False
        log.warning(
            "Flower forgets its tasks when it ends, for it has no folder to keep them in (%s); --db names one", error
        )


def _own_store() -> Path:
    from worker.process.process_settings import find_process_settings

    folder = find_folders().state / "flower"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} may not be written to")
    place = hashlib.sha256(find_process_settings().broker_url.encode()).hexdigest()
    return folder / f"tasks-{place[:10]}"  # two installations have two histories


def _close_metrics() -> None:
    """Flower answers `/metrics`, with every worker's name, without a login even where it asks for
    one elsewhere.
    """
    from flower.views.monitor import Metrics
    from tornado.web import authenticated

    Metrics.get = authenticated(Metrics.get)
