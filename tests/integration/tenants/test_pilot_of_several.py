"""A pilot of a submission is over once every connection has sent its first rows: then it is asked
once whether the others are sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.tenants.three import people, run_three
from tests.terminals import Terminal
from tests.ushers import Usher


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """Three tenants and a worker."""
    with run_three(folder) as usher:
        yield usher


def test_the_other_rows_of_all_are_asked_about(usher: Usher) -> None:
    """As of one connection, by one question; a yes sends them and follows them to their end."""
    listed = usher.folder / "people.csv"
    listed.write_text("email\n" + "".join(f"{one}\n" for one in people(3)))
    command = ("invite", str(listed), "-c", "adatum,bellows", "--pilot", "1", "--yes")
    terminal = Terminal(usher.env | {"COLUMNS": "120"}, usher.folder, *command)
    terminal.read_until("Send the other 4 rows now? [y/N]")
    terminal.type("y\n")
    assert terminal.wait() == 0, terminal.text
    assert "6 rows on 2 connections, done" in terminal.text
