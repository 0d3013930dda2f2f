"""A private stack in a folder of its own, and the commands that people type there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import plain_environment, run_command, wait_until
from tests.sandboxes import connection_table, run_sandbox
from tests.terminals import Terminal
from worker.stack.attachment import read_status
from worker.stack.folders import find_folders
from worker.stack.lockfile import read_note

COUNTS = ("invited", "already_guest", "skipped", "failed", "in_doubt", "pending", "cancelled")
KEYS = ["job", "connection", "state", "rows", *COUNTS, "elapsed_s"]


JOB = re.compile(r"^Job ([a-z2-7]{10})$", re.MULTILINE)


@dataclass
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; everything about it that --json promises is checked."""
        assert self.out.count("\n") == 1, self.out
        told = json.loads(self.out)
        assert isinstance(told, dict)
        if self.status == 2:
            assert list(told) == ["error"]
        return told

    @property
    def job(self) -> dict[str, Any]:
        """The object of a followed job."""
        told = self.json
        assert [name for name in told if name != "stages"] == KEYS
        assert told["rows"] == sum(told[name] for name in COUNTS)
        return told


@dataclass
class Place:
    """A state folder and the environment that leads to it."""

    folder: Path
    env: dict[str, str]

    def usher(self, *arguments: str, text: str = "", **env: str) -> Result:
        """Run a command to its end, without a terminal."""
        return Result(*run_command(arguments, self.env | env, self.folder, text))

    def write(self, name: str, text: str | bytes) -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def guests(self, count: int, start: str = "guest") -> str:
        """Write a list of so many and return its path."""
        return self.write(f"{start}.csv", "email\n" + "".join(f"{start}{n}@fabrikam.example\n" for n in range(count)))

    def is_gone(self) -> bool:
        """Whether nothing of the stack runs any more."""
        return read_status(self.env) is None

    def end(self) -> None:
        """End what still runs, without its grace, and see it gone."""
        note = read_note(find_folders(self.env).supervisor_lock)
        if note and not self.is_gone():
            with suppress(ProcessLookupError):
                os.kill(note["pid"], signal.SIGTERM)
        wait_until(self.is_gone, 60, "the end of the private stack")


@contextmanager
def open_bare_place(grace_s: str = "0.2", **env: str) -> Iterator[Place]:
    """A folder with nothing in it, no configuration, no key; what runs in it in the end is
    ended.
    """
    folder = Path(tempfile.mkdtemp(prefix="ucli-", dir="/tmp"))
    state = {"USHER_STATE_DIR": str(folder / "state"), "HOME": str(folder)}
    told = plain_environment(USHER_GRACE_S=grace_s, COLUMNS="160", **state, **env)
    told.pop("XDG_RUNTIME_DIR", None)
    place = Place(folder, told)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(place.end)
        yield place


@contextmanager
def open_place(grace_s: str, *sandbox_options: str) -> Iterator[Place]:
    """A private stack that outlives its last command by `grace_s`; `contoso` is a connection like a
    real one.
    """
    options = ("--replication", "0", *sandbox_options)
    with open_bare_place(grace_s) as place, run_sandbox(place.folder, *options) as sandbox:
        place.env["USHER_CONFIG"] = place.write("usher.toml", connection_table("contoso", sandbox.ready))
        try:
            yield place
        finally:
            place.end()


class Typist(Terminal):
    """A command at a terminal of its own, in a place."""

    def __init__(self, place: Place, *arguments: str) -> None:
        super().__init__(place.env, place.folder, *arguments)

    def end(self, within_s: float = 40.0) -> Result:
        """Read until the command ends."""
        return Result(self.wait(within_s), self.text, self.text)
