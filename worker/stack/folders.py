"""Where the private stack keeps its files: one state folder, one place for sockets, all of it for
its owner alone (0700).

Every path of the private stack is built here. Finding the folders touches nothing;
`Folders.prepare` makes them. The state folder is what two commands must agree on to meet the same
jobs; sockets live elsewhere when a better place is there, under names that follow from the state
folder, so that two state folders never share a socket.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOCKET_PATH_MAX = 103
"""Bytes of a unix socket's path. macOS has room for 104 with the closing NUL, Linux for 108: a
longer path cannot be bound.
"""

_MARK = "supervisor.lock"
_TEMPORARY = "/tmp"  # noqa: S108 - a folder there is used only when it is ours, no link, and closed to others


class StackError(Exception):
    """The private stack cannot do what was asked. The text is a sentence for the person at the
    keyboard.
    """


@dataclass(frozen=True, slots=True)
class Folders:
    """The private stack's paths. `state` outlives everything, `sockets` only has to live as long as
    the stack runs.
    """

    state: Path
    sockets: Path
    stem: str = ""

    @property
    def data(self) -> Path:
        """The private server's append-only files."""
        return self.state / "data"

    @property
    def locks(self) -> Path:
        """One lock file a child, held by that child while it lives, and the supervisors'."""
        return self.state / "locks"

    @property
    def users(self) -> Path:
        """One locked file a command that uses the stack."""
        return self.state / "users"

    @property
    def logs(self) -> Path:
        """One log a process: supervisor, server, worker, sandbox, beat, flower."""
        return self.state / "logs"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the server's supervisor; its text says who that is."""
        return self.state / _MARK

    def supervisor_lock_of(self, role: str) -> Path:
        """Held by the supervisor of that role."""
        return self.supervisor_lock if role == "server" else self.locks / f"{role}-supervisor.lock"

    @property
    def ledger_key(self) -> Path:
        """The key that embedded mode makes for itself (0600)."""
        return self.state / "ledger.key"

    @property
    def sandbox_state(self) -> Path:
        """What the sandbox writes: its certificate and its client's secret."""
        return self.state / "sandbox-state"

    @property
    def sandbox_ready(self) -> Path:
        """The sandbox's ready file; it is there while the sandbox answers."""
        return self.state / "sandbox.json"

    @property
    def server_socket(self) -> Path:
        """Where the private server listens."""
        return self.sockets / f"{self.stem}valkey.sock"

    def log(self, name: str) -> Path:
        """The log file of one process of the stack."""
        return self.logs / f"{name}.log"

    def lock(self, name: str) -> Path:
        """The lock file of one child of the stack."""
        return self.locks / f"{name}.lock"

    def prepare(self) -> None:
        """Make what is missing, each folder 0700. Raises `StackError` where that cannot be had."""
        _make_private(self.state)
        for folder in (self.data, self.locks, self.users, self.logs, self.sandbox_state):
            folder.mkdir(mode=0o700, exist_ok=True)
        if self.sockets != self.state:
            _make_private(self.sockets)


def find_folders(env: Mapping[str, str] = os.environ) -> Folders:
    """Say where the private stack of this environment lives, without touching the disk more than
    looking.

    State: USHER_STATE_DIR, else $XDG_STATE_HOME/usher, else ~/.local/state/usher. Sockets:
    $XDG_RUNTIME_DIR/usher where that folder is there and ours, else the state folder; a path too
    long for a socket moves to a short folder under the temporary one. Raises `StackError` when
    neither a state folder nor HOME is named.
    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    state = _find_state(env)
    # Two state folders may share one runtime folder; the socket's name has to tell them apart.
    tag = hashlib.sha256(os.fsencode(os.path.realpath(state))).hexdigest()[:10]
    runtime = Path(env.get("XDG_RUNTIME_DIR", ""))
    choices = [Folders(state, state)]
    if runtime.is_absolute() and _is_ours(runtime):
        choices.insert(0, Folders(state, runtime / "usher", f"{tag}-"))
    temporary = [Path(place) for place in (env.get("TMPDIR", ""), _TEMPORARY)]
    choices += [Folders(state, place / f"usher-{os.geteuid()}-{tag}") for place in temporary if place.is_absolute()]
    for choice in choices:
        if len(os.fsencode(choice.server_socket)) <= SOCKET_PATH_MAX:
            return choice
    return choices[-1]


def make_absolute(path: str | Path) -> Path:
    """The path from the root, links left as they are: a mounted secret is a link that moves when
    the secret changes.
    """
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve would follow links


def _find_state(env: Mapping[str, str]) -> Path:
    if named := env.get("USHER_STATE_DIR"):
        return make_absolute(named)
    if (home := Path(env.get("XDG_STATE_HOME", ""))).is_absolute():
        return home / "usher"
    if (home := Path(env.get("HOME", ""))).is_absolute():
        return home / ".local" / "state" / "usher"
    raise StackError(
        "HOME is not set, so there is no place for usher's data: set USHER_STATE_DIR to a folder of your own."
    )


def _is_ours(folder: Path) -> bool:
    """Whether a folder is this user's: under sudo, XDG_RUNTIME_DIR often is somebody else's."""
    try:
        found = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _make_private(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            _check_private(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StackError(f"usher may not write to {folder}: set USHER_STATE_DIR to a folder of your own.")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StackError(
            f"{folder} cannot be made ({reason}): set USHER_STATE_DIR to a folder that you may write."
        ) from error


def _check_private(folder: Path) -> None:
    """Take a folder that is there already, closing it to others where that can harm nobody; raise
    `StackError` for any other.

    A folder with other people's files in it (`USHER_STATE_DIR=/tmp` as root) must not be closed
    behind their backs, and a socket folder under /tmp that another user made first must not be
    trusted.
    """
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        found = folder.stat()
        if folder.lstat().st_uid != os.geteuid():
            raise StackError(f"{folder} is a link made by another user: set USHER_STATE_DIR to a folder of your own.")
    if not stat.S_ISDIR(found.st_mode):
        raise StackError(f"{folder} is not a folder: set USHER_STATE_DIR to another place.")
    if found.st_uid != os.geteuid():
        raise StackError(f"{folder} belongs to another user: set USHER_STATE_DIR to a folder of your own.")
    if stat.S_IMODE(found.st_mode) & 0o077 == 0:
        return
    inside = {entry.name for entry in os.scandir(folder)}
    if inside and _MARK not in inside and folder.name != "usher":
        raise StackError(
            f"{folder} is open to others and holds other files: give usher a folder of its own (chmod 700)."
        )
    folder.chmod(0o700)
