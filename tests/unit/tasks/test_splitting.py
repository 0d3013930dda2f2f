"""A list is split over several connections: who goes where, and who nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.rows.row import BadRow, ValidRow, validate_record
from tasks.submission import several
from tasks.submission.refusing import RefusedRows
from tasks.submission.request import Request
from tasks.submission.several import Several
from tasks.submission.splitting import Split
from tasks.submit import keep_to


def record(number: int, email: str, connection: str = "") -> ValidRow | BadRow:
    """A row as it is read from a list."""
    return validate_record({"email": email, "connection": connection}, number, number + 1)


def addresses(split: Split, connection: str) -> list[str]:
    """Whom one connection gets, the bad ones with a mark."""
    rows = split.rows_of(connection)
    return [f"!{row.email}" if isinstance(row, BadRow) else row.row["email"] for row in rows]


def test_a_row_goes_where_it_says() -> None:
    """In the list's order, and without the name of its connection; a connection without rows has no
    job.
    """
    with Split(("adatum", "bellows", "cronus")) as split:
        split.add_all(
            (
                record(1, "a@partner.example", "bellows"),
                record(2, "b@partner.example", "all"),
                record(3, "c@partner.example", "adatum"),
            )
        )
        assert addresses(split, "adatum") == ["b@partner.example", "c@partner.example"]
        assert addresses(split, "bellows") == ["a@partner.example", "b@partner.example"]
        assert addresses(split, "cronus") == ["b@partner.example"]
        assert not any("connection" in row.row for row in split.rows_of("bellows") if isinstance(row, ValidRow))
        assert (split.rows, split.bad_count) == (3, 0)


def test_a_list_that_names_nobody_goes_everywhere() -> None:
    """As a whole."""
    with Split(("adatum", "bellows")) as split:
        split.add_all([record(1, "a@partner.example"), record(2, "b@partner.example"), record(3, "bad")])
        both = ["a@partner.example", "b@partner.example"]
        assert [addresses(split, name) for name in split.asked] == [both, both]
        assert (split.rows, split.bad_count, split.nobodys_count, split.through_all) == (3, 1, 1, 4)


@pytest.mark.parametrize("named", ["bellows", "all", "contoso"])
def test_an_empty_cell_among_names_is_an_oversight(named: str) -> None:
    """The row goes nowhere: it would go into every customer's tenant."""
    with Split(("adatum", "bellows")) as split:
        rows = [record(1, "a@partner.example"), record(2, "b@partner.example", named), record(3, "c@partner.example")]
        split.add_all(rows)
        went = {email for name in split.asked for email in addresses(split, name)}
        assert went == ({"b@partner.example"} if named != "contoso" else set())
        lost = [row.number for row in rows if named == "contoso" or row.number != 2]
        assert [row.number for row in split.nobodys()] == [row.number for row in split.bad] == lost
        assert (split.rows, split.bad_count, split.nobodys_count) == (3, len(lost), len(lost))
        told = "line 2: connection is empty, though other rows name one; `all` means every chosen one"
        assert str(split.bad[0]) == told


def test_only_who_has_rows_is_asked() -> None:
    """Where every row names its connection."""
    with Split(("adatum", "bellows", "cronus")) as split:
        split.add_all([record(1, "a@partner.example", "cronus")])
        split.add_all([record(2, "b@partner.example", "adatum")])
        assert split.asked == ["adatum", "cronus"]


def test_a_row_for_nobody_is_a_bad_row() -> None:
    """It is nobody's, so that no customer's results tell of it, and says whom it named; so is a bad
    row that names none. Another bad row is in the results of its connection.
    """
    with Split(("adatum", "bellows")) as split:
        split.add_all([record(1, "a@partner.example", "contoso")])
        split.add_all([record(2, "nonsense", "bellows")])
        split.add_all([record(3, "b@partner.example", "adatum")])
        split.add_all([record(4, "nothing")])
        assert addresses(split, "adatum") == ["b@partner.example"]
        assert addresses(split, "bellows") == ["!nonsense"]
        assert [(row.email, row.connection) for row in split.nobodys()] == [
            ("a@partner.example", "contoso"),
            ("nothing", ""),
        ]
        assert (split.rows, split.bad_count, split.nobodys_count) == (4, 3, 2)
        told = 'line 2: connection names "contoso", a connection that is not among those chosen'
        assert str(split.bad[0]) == told


def test_what_cannot_be_a_connections_name_is_not_repeated() -> None:
    """Of a misplaced column it may be an address, and a reason may be logged."""
    with Split(("adatum", "bellows")) as split:
        split.add_all([record(1, "a@partner.example", "someone@partner.example")])
        split.add_all([record(2, "b@partner.example", "Bellows")])
        assert [str(row).partition(": ")[2] for row in split.bad] == [
            "connection names a connection that is not among those chosen",
            'connection names "Bellows" (did you mean bellows?), a connection that is not among those chosen',
        ]


def test_without_a_good_row_nobody_is_asked() -> None:
    """And what is nobody's is not lost."""
    with Split(("adatum", "bellows")) as split:
        split.add_all([record(1, "a@partner.example", "contoso")])
        assert (split.asked, split.rows, split.nobodys_count) == ([], 1, 1)


def test_two_connections_are_read_side_by_side() -> None:
    """As their jobs are loaded."""
    with Split(("adatum", "bellows")) as split:
        for number in range(1, 6):
            split.add_all([record(number, f"g{number}@partner.example", "adatum" if number % 2 else "all")])
        pairs = zip(split.rows_of("adatum"), split.rows_of("bellows"), strict=False)
        assert [(ours.number, theirs.number) for ours, theirs in pairs] == [(1, 2), (2, 4)]


def test_one_connection_keeps_to_its_own() -> None:
    """Whatever door a row comes through."""
    kept = keep_to(record(1, "a@partner.example", "adatum"), "adatum")
    assert isinstance(kept, ValidRow)
    assert kept.row == {"email": "a@partner.example"}
    refused = keep_to(record(1, "a@partner.example", "bellows"), "adatum")
    assert isinstance(refused, BadRow)
    assert (refused.column, refused.email) == ("connection", "a@partner.example")


def test_rows_are_put_to_whose_guests_they_are() -> None:
    """Whoever says so; connections with rows of their own are known."""
    with Split(["a", "b"]) as split:
        split.put(ValidRow(1, 2, {"email": "x@y.example"}), "b")
        assert (split.named, split.asked) == (["b"], ["b"])
        split.put(ValidRow(2, 3, {"email": "z@y.example"}), "")
        assert (split.named, split.asked) == (["b"], ["a", "b"])
        assert [row.number for row in split.rows_of("b")] == [1, 2]


async def test_a_list_may_not_be_multiplied_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows count as often as they are sent, and are refused before any is loaded; a list that names
    its connections is as long as it is.
    """
    monkeypatch.setattr(several, "MOST", 5)
    nobody: Any = None

    async def follow(job: str) -> None:
        raise AssertionError(f"job {job} is to be loaded")

    async def refused(*rows: ValidRow | BadRow) -> str:
        with Split(("adatum", "bellows", "cronus")) as split:
            split.add_all(rows)
            assert split.through_all == sum(len(addresses(split, name)) for name in split.connections)
            prepared = Several(nobody, Request("", rows, "a.csv"), split).prepare(follow, dry=True)
            with pytest.raises((RefusedRows, AssertionError)) as told:
                await prepared
        return str(told.value)

    said = await refused(*(record(number, f"{number}@partner.example") for number in (1, 2)))
    assert said.startswith("a.csv holds 2 rows, which through 3 connections are 6, and 5 is the most for one")
    named = [record(number, f"{number}@partner.example", "bellows") for number in range(1, 8)]
    assert (await refused(*named)).endswith("is to be loaded")
