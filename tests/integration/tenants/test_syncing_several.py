"""One list is the truth about several tenants: each row says whose guest it is, and nobody is
disabled in one tenant because the rows of another do not name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.tenants.test_several import results_of
from tests.integration.tenants.three import MISSING, NAMES, add, found, people, run, run_three
from tests.ushers import Usher

FEW = '[connections.{}.sync]\nmost_left = "100%"\n'
BOTH = ("-c", "adatum,bellows", "--source")


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """Three tenants, of which two let a list take anybody away."""
    with run_three(folder, {name: FEW.format(name) for name in NAMES[:2]}) as usher:
        yield usher


def bring(usher: Usher, source: str, *names: str) -> str:
    """Put a guest whom a list has brought into tenants; returns the address."""
    return add(usher, *names, extension_attributes={"extensionAttribute11": source})[0]


def disabled(usher: Usher, email: str) -> set[str]:
    """Where a guest may not sign in."""
    return {name for name, one in found(usher, "--disabled") if one == email}


def test_each_tenant_is_kept_as_its_rows_say(usher: Usher) -> None:
    """Nothing without --yes; then who is new is invited and who left is disabled, in their own
    tenant, as one submission.
    """
    stays, left = bring(usher, "crm", "adatum", "bellows"), bring(usher, "crm", "adatum")
    new, other = people(2)
    rows = [f"{stays},adatum", f"{stays},bellows", f"{new},bellows", f"{other},cronus"]
    text = "email,connection\n" + "".join(f"{row}\n" for row in rows)
    ask = ("guests", "sync", "-", *BOTH, "crm")
    dry = usher.run(*ask, text=text, COLUMNS="200")
    assert dry.status == 0, dry.err
    assert re.search(rf"^adatum .*{left}", dry.out, re.MULTILINE), dry.out
    assert re.search(rf"^bellows .*{new}", dry.out, re.MULTILINE), dry.out
    assert re.search(r"^together +1 +0 +\d+ +1$", dry.out, re.MULTILINE), dry.out
    assert "left out: 1 row" in dry.err
    assert not disabled(usher, left)
    status, told, said = run(usher, *ask, "--yes", text=text)
    assert (status, told["operation"], told["submission"][:2]) == (0, "sync", "s-"), said
    assert disabled(usher, left) == {"adatum"}
    assert not disabled(usher, stays)
    everywhere = found(usher)
    assert {name for name, email in everywhere if email == new} == {"bellows"}
    assert other not in {email for _, email in everywhere}
    assert ("bellows", new) in {(row["connection"], row["email"]) for row in results_of(usher, told["submission"])}


def test_a_list_that_does_not_say_whose_changes_nobody(usher: Usher) -> None:
    """Without the column it is refused; a tenant that no row names is left alone."""
    email = bring(usher, "hr", "adatum", "bellows")
    ask = ("guests", "sync", "-", *BOTH, "hr", "--yes")
    status, told, said = run(usher, *ask, text=f"email\n{people(1)[0]}\n")
    assert (status, "does not say in a column `connection`" in told["error"]) == (2, True), said
    status, told, said = run(usher, *ask, text=f"email,connection\n{email},adatum\n")
    assert (status, [one["connection"] for one in told["unasked"]]) == (1, ["bellows"]), said
    assert "No row of Standard input names this connection" in said
    assert not disabled(usher, email)


def test_a_list_of_several_keeps_a_single_one_by_its_own_rows(usher: Usher) -> None:
    """Rows of others are left out, with a sentence; a row that names no connection is the chosen
    one's; one that names none that there is takes nobody away.
    """
    left, theirs, mine = bring(usher, "ops", "adatum"), people(1)[0], people(1)[0]
    ask = ("guests", "sync", "-", "-c", "adatum", "--source", "ops", "--yes")
    text = f"email,connection\n{theirs},bellows\n{left},bellows\n{mine},\n"
    status, told, said = run(usher, *ask, text=text + f"{left},adatun\n")
    assert (status, told["done"], told["failed"], disabled(usher, left)) == (1, 1, 1, set()), said
    status, told, said = run(usher, *ask, text=text)
    assert (status, "left out: 2 rows" in said, disabled(usher, left)) == (0, True, {"adatum"}), said
    assert {name for name, email in found(usher) if email in (theirs, mine)} == {"adatum"}
    assert ("adatum", theirs) not in found(usher)


def test_a_row_that_may_be_anybodys_takes_nobody_away(usher: Usher) -> None:
    """In no tenant; it is told once, in the results of the submission and of no customer."""
    left, new = bring(usher, "sales", "adatum", "bellows"), people(1)[0]
    text = f"email,connection\n{new},adatum\n{new},bellows\n{left},\n{left},adatun\n"
    status, told, said = run(usher, "guests", "sync", "-", *BOTH, "sales", "--yes", text=text)
    assert (status, told["failed"], told["rows"]) == (1, 2, 4), (told, said)
    assert len(re.findall(r"^! (?:adatum, bellows: )?2 rows of the list cannot be read", said, re.MULTILINE)) == 1, said
    assert not disabled(usher, left)
    told_of = [row["connection"] for row in results_of(usher, told["submission"]) if row["email"] == left]
    assert told_of == ["", "adatun"]
    assert [job["connection"] for job in told["jobs"]] == ["adatum", "bellows", ""]
    assert {name for name, email in found(usher) if email == new} == {"adatum", "bellows"}


def test_a_tenant_that_cannot_be_compared_stops_no_other(usher: Usher) -> None:
    """It is a sentence, status 1; a ceiling of one tenant is its own, status 3."""
    new = people(1)[0]
    text = f"email,connection\n{new},cronus\n{new},{MISSING}\n"
    status, told, said = run(
        usher, "guests", "sync", "-", "-c", f"cronus,{MISSING}", "--source", "erp", "--yes", text=text
    )
    assert (status, [one["connection"] for one in told["unasked"]]) == (1, [MISSING]), said
    assert ("cronus", new) in found(usher)
    left = [bring(usher, "erp", "cronus") for _ in range(3)]
    gone = bring(usher, "erp", "adatum")
    text = f"email,connection\n{new},cronus\n{new},adatum\n"
    status, told, said = run(usher, "guests", "sync", "-", "-c", "cronus,adatum", "--source", "erp", "--yes", text=text)
    assert (status, told["ceilings"]) == (3, ["most_left"]), said
    assert not any(disabled(usher, email) for email in left)
    assert disabled(usher, gone) == {"adatum"}
