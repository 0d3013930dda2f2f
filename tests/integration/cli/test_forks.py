from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import Place
from tests.processes import USHER, quick_usher, wait_until
from tests.terminals import Terminal


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--version",), ""),
        (("invite", "nowhere.csv", "-c", "contoso"), ""),
        (("invite", "-", "-c", "contoso", "--json"), "name\nAnn\n"),
        (("connections", "list", "--json"), ""),
        (("jobs", "show", "\udcff"), ""),
    ],
)
def test_a_fork_is_the_command_that_people_start(bare_place: Place, arguments: tuple[str, ...], text: str) -> None:
    """The same status and words on the same streams, from the same folder, environment and standard
    input.
    """
    bare_place.env["USHER_CONFIG"] = bare_place.write("usher.toml", "")
    bare_place.env["USHER_CONNECTIONS__CONTOSO__TENANT_ID"] = "contoso.example"
    bare_place.env["USHER_CONNECTIONS__CONTOSO__CLIENT_ID"] = "app"
    bare_place.env["USHER_CONNECTIONS__CONTOSO__CLIENT_SECRET"] = "env:NOWHERE"
    told = [
        subprocess.run(
            (*start, *arguments), env=bare_place.env, cwd=bare_place.folder, input=text, capture_output=True, text=True
        )
        for start in (USHER, quick_usher())
    ]
    whole, fork = ((done.returncode, done.stdout, done.stderr) for done in told)
    assert fork == whole


_AT_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard input the terminal that Ctrl-C comes from."""


def test_a_fork_is_at_its_terminal_as_the_command_is(bare_place: Place) -> None:
    """It asks there, and Ctrl-C typed there ends it with the same status and words."""
    told = []
    for start in ((sys.executable, "-c", _AT_A_TERMINAL, *USHER), quick_usher()):
        terminal = Terminal(bare_place.env, bare_place.folder, "connections", "add", "trial", start=start)
        terminal.read_until("Tenant (")
        terminal.type("\x03")
        told.append((terminal.wait(), terminal.text))
    assert told[0] == told[1]
    assert told[0][0] == 2


def test_a_command_ends_with_its_caller(bare_place: Place) -> None:
    """What a test gives up after a minute does not run on."""
    log = bare_place.folder / "watched"
    argv = (*quick_usher(), "invite", "-", "-c", "sandbox")
    with (
        log.open("w") as output,
        subprocess.Popen(argv, env=bare_place.env, stdin=subprocess.PIPE, stderr=output) as caller,
    ):
        command = wait_until(lambda: _children(caller), 10, "a command that reads its standard input")
        caller.kill()
    wait_until(lambda: not Path(f"/proc/{command}").exists(), 10, "its end")


def _children(caller: subprocess.Popen[bytes]) -> str:
    """Return the process that has the caller's standard input open, besides the caller."""
    theirs = Path(f"/proc/{caller.pid}/fd/0").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name != str(caller.pid) and (process / "fd/0").readlink() == theirs:
                return process.name
        except OSError:
            continue
    return ""
