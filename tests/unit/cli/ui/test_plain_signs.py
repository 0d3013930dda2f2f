"""Terminals that are not UTF-8 get plain signs, pipes and files with results get UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SHOW = """
import sys
from cli.ui.plain_signs import use_plain_signs
from cli.ui.session import Session
from cli.ui.terminal import Terminal, build_mark
use_plain_signs()
terminal = Terminal(Session())
terminal.show(build_mark(ok=True, optional=False), build_mark(ok=False, optional=False), "“Zoë” → …, 東")
terminal.warn("“x”")
terminal.print_json({"name": "Zoë 東"})
"""


def _run(encoding: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, timeout=30)


@pytest.mark.parametrize(("encoding", "name"), [("ascii", "Zo?"), ("latin-1", "Zoë")])
def test_what_an_encoding_does_not_know_is_written_plainly(encoding: str, name: str) -> None:
    """The marks stay apart; and a program gets the letters of names, whatever the terminal is."""
    done = _run(encoding, "-c", _SHOW)
    assert done.returncode == 0, done.stderr
    shown, told = done.stdout.rstrip(b"\n").rsplit(b"\n", 1)
    assert shown.decode(encoding).split("\n") == ["+", "x", f'"{name}" -> ..., ?']
    assert told.decode("utf-8") == '{"name": "Zoë 東"}'
    assert done.stderr == b'! "x"\n'


def test_the_command_itself_writes_so() -> None:
    """A help text too."""
    done = _run("latin-1", "-P", "-m", "cli", "audit", "list", "--help")
    assert (done.returncode, b"row ..." in b" ".join(done.stdout.split())) == (0, True), done.stderr
