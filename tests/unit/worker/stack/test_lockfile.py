from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from worker.stack.lockfile import adopt_lock, is_locked, read_note, try_lock


def test_a_lock_is_had_once(tmp_path: Path) -> None:
    """Two holders of one lock are impossible."""
    lock = try_lock(tmp_path / "l")
    assert lock is not None
    assert try_lock(tmp_path / "l") is None
    assert is_locked(tmp_path / "l")
    lock.close()
    assert not is_locked(tmp_path / "l")


def test_an_inherited_lock_is_held_until_the_heir_has_gone(tmp_path: Path) -> None:
    """A child holds its lock exactly as long as it lives, also when it is killed."""
    path = tmp_path / "l"
    lock = try_lock(path)
    assert lock is not None
    command = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(lock.fd,)) as child:
        assert child.stdout is not None
        child.stdout.readline()
        lock.close()
        assert is_locked(path)
        child.kill()
        child.wait()
        assert not is_locked(path)


def test_a_note_is_whole_or_none(tmp_path: Path) -> None:
    """A reader meets a note, or none: never half of one."""
    lock = try_lock(tmp_path / "l")
    assert lock is not None
    assert read_note(tmp_path / "l") is None
    lock.write_note({"pid": 1234567})
    assert read_note(tmp_path / "l") == {"pid": 1234567}
    lock.write_note({"p": 1})
    assert read_note(tmp_path / "l") == {"p": 1}, "the rest of a longer note is gone"
    (tmp_path / "half").write_text('{"pid": 12')
    assert read_note(tmp_path / "half") is None
    adopt_lock(lock.path, lock.fd).close()
    assert read_note(tmp_path / "absent") is None
