from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from worker.stack.folders import SOCKET_PATH_MAX, StackError, find_folders


def test_state_dir_is_first_asked_of_usher_then_of_xdg_then_of_home() -> None:
    """The state folder follows USHER_STATE_DIR, XDG_STATE_HOME and HOME, in that order."""
    env = {"HOME": "/home/a"}
    assert find_folders(env).state == Path("/home/a/.local/state/usher")
    env["XDG_STATE_HOME"] = "/x"
    assert find_folders(env).state == Path("/x/usher")
    env["USHER_STATE_DIR"] = "/mine"
    assert find_folders(env).state == Path("/mine")


def test_without_a_home_one_sentence_says_what_to_set() -> None:
    """No HOME is one sentence, no traceback."""
    with pytest.raises(StackError, match=r"HOME is not set.*USHER_STATE_DIR"):
        find_folders({})


def test_finding_makes_nothing(tmp_path: Path) -> None:
    """A look leaves no trace."""
    find_folders({"USHER_STATE_DIR": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_every_folder_is_for_its_owner_alone(short: Path) -> None:
    """All folders are 0700, whatever the umask, the runtime folder included."""
    runtime = short / "run"
    runtime.mkdir()
    umask = os.umask(0)
    try:
        folders = find_folders({"USHER_STATE_DIR": str(short / "a" / "state"), "XDG_RUNTIME_DIR": str(runtime)})
        folders.prepare()
    finally:
        os.umask(umask)
    for folder in (folders.state, folders.sockets, folders.data, folders.logs, folders.locks, folders.sandbox_state):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert folders.sockets == runtime / "usher"


def test_two_state_folders_share_a_runtime_folder_and_no_socket(short: Path) -> None:
    """Socket names follow from the state folder."""
    found = [find_folders({"USHER_STATE_DIR": str(short / n), "XDG_RUNTIME_DIR": str(short)}) for n in "ab"]
    assert found[0].sockets == found[1].sockets
    assert found[0].server_socket != found[1].server_socket


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a folder that is somebody else's")
def test_another_users_runtime_folder_is_left_alone(short: Path) -> None:
    """Under sudo XDG_RUNTIME_DIR may be another user's: the state folder is used."""
    theirs = short / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    folders = find_folders({"USHER_STATE_DIR": str(short / "state"), "XDG_RUNTIME_DIR": str(theirs)})
    assert folders.sockets == folders.state


def test_a_path_too_long_for_a_socket_moves_to_a_short_private_folder(short: Path) -> None:
    """A deep state folder still gets sockets that can be bound, in a folder of our own under the
    temporary one.
    """
    deep = short / ("d" * 100)
    folders = find_folders({"USHER_STATE_DIR": str(deep), "TMPDIR": str(short)})
    assert folders.sockets.parent == short
    assert len(os.fsencode(folders.server_socket)) <= SOCKET_PATH_MAX
    folders.prepare()
    assert stat.S_IMODE(folders.sockets.stat().st_mode) == 0o700
    assert folders == find_folders({"USHER_STATE_DIR": str(deep), "TMPDIR": str(short)}), (
        "the next command finds it too"
    )


def test_a_folder_with_other_files_that_is_open_to_others_is_refused(short: Path) -> None:
    """`USHER_STATE_DIR=/tmp` must not close /tmp to everybody else."""
    (short / "open").mkdir()
    (short / "open").chmod(0o777)
    (short / "open" / "somebody's").touch()
    with pytest.raises(StackError, match="open to others"):
        find_folders({"USHER_STATE_DIR": str(short / "open")}).prepare()
    assert stat.S_IMODE((short / "open").stat().st_mode) == 0o777


def test_an_empty_folder_made_by_hand_is_closed(short: Path) -> None:
    """`mkdir state` and its 0755 are good enough."""
    (short / "state").mkdir(mode=0o755)
    find_folders({"USHER_STATE_DIR": str(short / "state")}).prepare()
    assert stat.S_IMODE((short / "state").stat().st_mode) == 0o700


def test_a_state_folder_that_cannot_be_made_is_one_sentence(short: Path) -> None:
    """A file in the way of the folder, or of its parents, is one sentence."""
    (short / "file").touch()
    for place in (short / "file", short / "file" / "state"):
        with pytest.raises(StackError, match="USHER_STATE_DIR"):
            find_folders({"USHER_STATE_DIR": str(place)}).prepare()
