"""What a list or a server says moves no cursor of a terminal, whoever forgot to clean it."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.text import Text

from cli.ui.session import Session
from cli.ui.terminal import Terminal, build_table
from tasks.results.table import write_csv, write_jsonl
from tasks.safe_text import open_stdout

HOSTILE = "a\x1b]0;x\x07b\x9b31mc\u202ed\x7f"


class Screen(io.StringIO):
    """A terminal as far as Python asks."""

    def isatty(self) -> bool:
        return True


def open_screens(monkeypatch: pytest.MonkeyPatch) -> tuple[Screen, Screen]:
    """Both streams, as terminals."""
    found = Screen(), Screen()
    monkeypatch.setattr(sys, "stdout", found[0])
    monkeypatch.setattr(sys, "stderr", found[1])
    monkeypatch.setenv("NO_COLOR", "1")
    return found


def test_whatever_is_shown_or_said_is_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain text, rich text, tables and lines that are overwritten."""
    screens = open_screens(monkeypatch)
    terminal = Terminal(Session())
    terminal.show(HOSTILE, Text(HOSTILE), build_table((HOSTILE,), [(Text(HOSTILE),)]))
    terminal.say(HOSTILE)
    terminal.say(Text(HOSTILE))
    terminal.tell(HOSTILE)
    terminal.warn(HOSTILE, HOSTILE)
    terminal.problem(HOSTILE)
    for screen in screens:
        shown = screen.getvalue()
        assert not {"\x1b]", "\x07", "\x9b", "\u202e", "\x7f"} & {
            shown[at : at + n] for at in range(len(shown)) for n in (1, 2)
        }
        assert "c�d" in shown


def test_results_on_a_terminal_are_cleaned_and_in_a_file_they_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV for a person's eyes; JSON says the same in either place."""
    screens = open_screens(monkeypatch)
    outcome = {"email": HOSTILE, "error_message": "two\nlines"}
    write_csv([outcome], open_stdout())
    assert ",a�]0;x�b�31mc�d�," in screens[0].getvalue()
    assert "two\nlines" in screens[0].getvalue()
    file = io.StringIO()
    write_csv([outcome], file)
    assert HOSTILE in file.getvalue()
    write_jsonl([outcome], file)
    line = file.getvalue().splitlines()[-1]
    assert line.isprintable()
    assert json.loads(line)["email"] == HOSTILE


def test_the_object_of_json_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads as the same text."""
    screens = open_screens(monkeypatch)
    terminal = Terminal(Session())
    terminal.print_json({"error": HOSTILE})
    assert screens[0].getvalue()[:-1].isprintable()
    assert json.loads(screens[0].getvalue()) == {"error": HOSTILE}
