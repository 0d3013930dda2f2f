from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.stack.folders import Folders, StackError
from worker.stack.lockfile import try_lock
from worker.stack.presence import Presence, find_users, read_supervision

SAID = {"mode": "background", "state": "open", "socket": "/s", "start": {}, "children": {}}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Folders of a stack that nobody uses."""
    made = Folders(tmp_path, tmp_path)
    made.prepare()
    return made


def test_a_command_is_here_until_it_leaves(folders: Folders) -> None:
    """Every hold counts by itself, however many one process has; what it needs and uses is
    known.
    """
    with_worker, reading = Presence(folders, ("server", "worker")), Presence(folders, ("server",))
    with_worker.say_uses(7)
    (other,) = find_users(folders, besides=reading)
    assert (other.pid, other.needs, other.uses) == (os.getpid(), frozenset({"server", "worker"}), 7)
    assert len(find_users(folders)) == 2
    with_worker.close()
    assert [user.needs for user in find_users(folders)] == [{"server"}]
    reading.close()
    reading.close()
    assert find_users(folders) == []


def test_a_killed_command_is_forgotten(folders: Folders) -> None:
    """kill -9 leaves a file that nobody holds: it does not count, and is taken away."""
    code = (
        "import sys; from pathlib import Path; from worker.stack.folders import Folders; from worker.stack.presence"
        " import Presence\npath = Path(sys.argv[1]); held = Presence(Folders(path, path), ['server']); print(1,"
        " flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folders.state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [user.pid for user in find_users(folders)] == [process.pid]
        process.kill()
        process.wait()
    assert find_users(folders) == []
    assert list(folders.users.iterdir()) == []


def test_a_supervisor_is_read_while_it_holds_its_lock(folders: Folders) -> None:
    """What a dead one wrote is not believed, and one that has said nothing yet is not there yet."""
    lock = try_lock(folders.supervisor_lock_of("worker"))
    assert lock is not None
    lock.write_note({"v": 2, "start": {}})
    assert read_supervision(folders, "worker") is None
    lock.write_note({"v": 2, "pid": 7, "place": "here", **SAID})
    found = read_supervision(folders, "worker")
    assert found is not None
    assert (found.pid, found.state) == (7, "open")
    lock.close()
    assert read_supervision(folders, "worker") is None


def test_another_version_is_a_sentence(folders: Folders) -> None:
    """An usher that was upgraded beside a stack that runs says which process to stop."""
    lock = try_lock(folders.supervisor_lock)
    assert lock is not None
    lock.write_note({"v": 1, "pid": 7, "mode": "background", "control": "/c", "place": "here"})
    with pytest.raises(StackError, match=r"Another version of usher .*process 7.*stop it first"):
        read_supervision(folders, "server")
    lock.close()
