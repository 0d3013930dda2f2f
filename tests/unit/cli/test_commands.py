"""The command line as such: what it imports, what it offers, what it says of nonsense."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli import COMMANDS, main, usher
from cli.ui import errors
from cli.ui.errors import describe, end
from cli.ui.session import Session
from tasks.errors import Refusal
from tasks.safe_text import clean
from tests.processes import ROOT, USHER

HEAVY = ("celery", "aiohttp", "msal", "redis", "pydantic", "rich", "kombu")


def test_help_imports_nothing_heavy() -> None:
    """Neither does the version."""
    code = (
        "import sys, json\nfrom cli import main\n"
        "try:\n    main([sys.argv[1]])\nexcept SystemExit as ended:\n"
        f"    print(json.dumps([ended.code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    for option in ("--help", "--version", "-h"):
        done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


def test_a_command_about_jobs_imports_nothing_that_only_a_call_needs() -> None:
    """What calls Microsoft, mails or writes a log is loaded where that is done."""
    code = "import sys, cli.jobs.showing, cli.schedules.showing, worker.services; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {
        "aiohttp",
        "msal",
        "requests",
        "jinja2",
        "aiosmtplib",
        "celery",
        "kombu",
        "structlog",
        "openpyxl",
    }


def test_every_command_is_there() -> None:
    """The list that --help shows without loading them is true."""
    context = click.Context(usher)
    for name in COMMANDS:
        command = usher.get_command(context, name)
        assert command is not None
        assert command.name == name


@pytest.mark.parametrize(
    ("group", "names"),
    [
        (
            "jobs",
            {"list", "show", "watch", "results", "approve", "pause", "resume", "cancel", "retry", "delete", "verify"},
        ),
        ("users", {"list", "get", "create"}),
        (
            "guests",
            {
                *("list", "show", "funnel", "forget", "export"),
                *("remind", "reset", "update", "move", "disable", "enable", "delete", "restore", "undo"),
                *("clean", "sync"),
            },
        ),
        ("secrets", {"list"}),
        ("producers", {"add", "list", "revoke", "waive"}),
        ("mail", {"preview", "test"}),
        ("schedules", {"list", "show", "add", "remove", "enable", "disable", "run"}),
        ("audit", {"list", "export"}),
        ("connections", {"add", "add-app", "consent", "list", "check", "hold", "reopen", "remove", "forget"}),
    ],
)
def test_groups_hold_their_commands(group: str, names: set[str]) -> None:
    """As the design names them."""
    command = usher.get_command(click.Context(usher), group)
    assert isinstance(command, click.Group)
    assert set(command.commands) == names


def test_a_group_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """As help, not as the sentence of an error; each command's first sentences in full. Status 2:
    nothing was done.
    """
    for arguments, words in ([], "Usage: usher [OPTIONS]"), (["jobs"], "Usage: usher jobs [OPTIONS]"):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        told = capsys.readouterr()
        assert (ended.value.code, told.out) == (2, "")
        assert told.err.startswith(words)
        assert "See usher" not in told.err
        assert "..." not in told.err.partition("Commands:")[2]


def test_who_leaves_a_paused_job_is_told_how_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """As at the question after a pilot."""
    session = Session(accepted="aaaaaaaaaa", last={"state": "paused"})
    assert end(KeyboardInterrupt(), session) == 3
    assert "It is paused, and goes on with usher jobs resume aaaaaaaaaa" in capsys.readouterr().err


def test_before_rows_are_accepted_an_error_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json its sentence is the one object on stdout."""
    assert end(Refusal("No."), Session(wants_json=True)) == 2
    out = capsys.readouterr()
    assert json.loads(out.out) == {"error": "No."}
    assert out.err == "usher: No.\n"


def test_afterwards_it_is_status_3_and_the_rows_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever happened: the job is named."""
    session = Session(accepted="k7m2aaaaaa")
    assert end(KeyboardInterrupt(), session) == 3
    assert "k7m2aaaaaa" in capsys.readouterr().err


def test_an_unknown_error_is_a_sentence_with_a_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a traceback; the details are for their owner alone."""
    monkeypatch.setenv("USHER_STATE_DIR", f"{tmp_path}/state")
    with pytest.raises(ZeroDivisionError) as raised:
        raise ZeroDivisionError("a guest's address")
    assert end(raised.value, Session()) == 2
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "Traceback" not in told
    assert "a guest" not in told
    log = Path(f"{tmp_path}/state/logs/cli.log")
    assert str(log) in told
    assert log.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in log.read_text()


def test_a_second_ctrl_c_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first is told about: no traceback, and the status stays what it is."""
    before = signal.getsignal(signal.SIGINT)

    def press_again(error: BaseException, session: Session) -> int:
        signal.raise_signal(signal.SIGINT)
        return 2

    monkeypatch.setattr(errors, "end", press_again)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["nonsense"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 2


def test_a_usage_error_is_one_sentence() -> None:
    """click's own wording, and where help is."""
    assert describe(click.UsageError("No such option: --x"), Session()) == "No such option: --x."


def test_lists_cannot_move_the_cursor() -> None:
    """Escape sequences and writing turned around do not reach the terminal."""
    assert clean("a\x1b[2Jb\u202ec\r") == "a�[2Jb�c�"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_tab_key_completes(shell: str) -> None:
    """In each shell that the README names, by what it says to write."""
    assert f"{shell}_source" in (ROOT / "README.md").read_text(encoding="utf-8")
    words = {"COMP_WORDS": "usher jobs re", "COMP_CWORD": "re" if shell == "fish" else "2"}
    for what, told in (("source", "_USHER_COMPLETE"), ("complete", "resume")):
        env = os.environ | words | {"_USHER_COMPLETE": f"{shell}_{what}"}
        done = subprocess.run([*USHER], env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, told in done.stdout, done.stderr) == (0, True, "")
