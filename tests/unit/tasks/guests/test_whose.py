"""Whose guests the rows of a list for several tenants are."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.guests.sync.whose import OwnRows, keep_own
from tasks.rows.row import BadRow, ValidRow

CONFIGURED = {"adatum", "bellows", "far"}


def row(number: int, connection: str = "") -> ValidRow:
    """A row that may name its connection."""
    named = {"connection": connection} if connection else {}
    return ValidRow(number, number, {"email": f"g{number}@example.com", **named})


def read(rows: Iterable[ValidRow | BadRow]) -> tuple[OwnRows, list[int], list[int]]:
    """Return the numbers of the good rows that are adatum's, and of those nobody can tell whose."""
    own = OwnRows("adatum", CONFIGURED, rows)
    found = list(own)
    good = [one.number for one in found if isinstance(one, ValidRow)]
    assert not any("connection" in one.row for one in found if isinstance(one, ValidRow))
    return own, good, [one.number for one in found if isinstance(one, BadRow)]


def test_a_row_is_whose_it_says() -> None:
    """Another tenant's is left out, also that of one outside the schedule, and a bad one."""
    bad = BadRow(4, 4, "email", "is none", connection="bellows")
    own, good, unread = read([row(1, "adatum"), row(2, "bellows"), row(3, "far"), bad])
    assert (good, unread, own.fault("crm.csv")) == ([1], [], "")


def test_a_row_that_may_be_anybodys_takes_nobody_away() -> None:
    """It counts as one that cannot be read: named by none, by a slip, or bad and nameless. It is in
    no customer's job.
    """
    bad = BadRow(4, 4, "email", "is none")
    own, good, unread = read([row(1, "adatum"), row(2), row(3, "adatun"), bad])
    assert (good, unread, own.nobodys, own.fault("crm.csv")) == ([1], [], 3, "")


def test_nothing_follows_from_a_list_that_does_not_name_the_connection() -> None:
    """The column is missing, or none of the rows is the connection's; a list that was not read to
    its end says so itself.
    """
    own, good, _ = read([row(1), row(2)])
    assert (good, "a column `connection`" in own.fault("crm.csv")) == ([], True)
    own, good, _ = read([row(1, "bellows")])
    assert (good, own.fault("crm.csv")) == ([], "No row of crm.csv names adatum.")
    assert OwnRows("adatum", CONFIGURED, []).fault("crm.csv") == ""


def test_a_single_connection_has_the_rows_of_nobody_too() -> None:
    """Those of another one that is configured are left out, and told."""
    left: list[int] = []
    rows = [row(1), row(2, "adatum"), row(3, "bellows"), row(4, "adatun")]
    kept = [*keep_own(rows, "adatum", CONFIGURED, lambda: left.append(1))]
    assert [(one.number, isinstance(one, BadRow)) for one in kept] == [(1, False), (2, False), (4, True)]
    assert len(left) == 1
    assert all("connection" not in one.row for one in kept if isinstance(one, ValidRow))
