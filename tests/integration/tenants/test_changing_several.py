"""Guests of several tenants are changed by one command: rows that name a connection there, the
others, which say `all`, in each tenant; nothing without --yes, and no ceiling is everybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.tenants.test_several import results_of
from tests.integration.tenants.three import MISSING, NAMES, add, found, people, run, run_three
from tests.ushers import Usher

ALL = ",".join(NAMES)


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """Three tenants and a worker."""
    with run_three(folder) as usher:
        yield usher


def test_rows_go_where_they_belong(usher: Usher) -> None:
    """Without --yes each is shown behind its connection and nothing is done; with it there is a job
    a connection, one results file, and one command that takes all of it back.
    """
    both, mine = people(2)
    add(usher, "adatum", "bellows", emails=[both, mine])
    text = f"email,connection\n{both},all\n{mine},bellows\n"
    dry = usher.run("guests", "disable", "-", "-c", "adatum,bellows", text=text, COLUMNS="200")
    assert dry.status == 0, dry.err
    lines = [line.split()[:4] for line in dry.out.splitlines()]
    assert lines[:3] == [
        ["adatum", "1", "disable", both],
        ["bellows", "1", "disable", both],
        ["bellows", "2", "disable", mine],
    ]
    assert re.search(r"^together +3 +0 +0$", dry.out, re.MULTILINE), dry.out
    assert "only with --yes" in dry.err
    assert not found(usher, "--disabled") & {("adatum", both), ("bellows", both), ("bellows", mine)}
    status, told, said = run(usher, "guests", "disable", "-", "-c", "adatum,bellows", "--yes", text=text)
    assert (status, told["operation"], told["rows"], told["done"]) == (0, "disable", 3, 3), said
    assert f"Submission {told['submission']}" in said
    wanted = {("adatum", both), ("bellows", both), ("bellows", mine)}
    assert found(usher, "--disabled") >= wanted
    assert ("adatum", mine) not in found(usher, "--disabled")
    rows = results_of(usher, told["submission"])
    assert {(row["connection"], row["email"], row["status"]) for row in rows} == {(*one, "done") for one in wanted}


def test_a_ceiling_is_of_each_tenant(usher: Usher) -> None:
    """Where it is met nothing is done, status 3, and the others are done."""
    many, one = people(3), people(1)
    add(usher, "adatum", emails=many, state="PendingAcceptance")
    add(usher, "bellows", emails=one, state="PendingAcceptance")
    text = "email,connection\n" + "".join(f"{email},adatum\n" for email in many) + f"{one[0]},bellows\n"
    for command in ("remind", "disable"):
        ask = ("guests", command, "-", "-c", "adatum,bellows", "--most", "2", "--yes")
        status, told, said = run(usher, *ask, text=text)
        assert (status, told["ceilings"], told["rows"]) == (3, ["most"], 1), (told, said)
        assert [job["connection"] for job in told["jobs"]] == ["bellows"]
        assert [one["ceilings"] for one in told["plans"] if one["connection"] == "adatum"] == [["most"]]
        assert re.search(r"^! adatum: .*--most", said, re.MULTILINE), said
    assert not {("adatum", email) for email in many} & found(usher, "--disabled")
    assert ("bellows", one[0]) in found(usher, "--disabled")
    add(usher, "bellows", emails=many)
    status, told, said = run(usher, "guests", "delete", *many, "-c", "adatum,bellows", "--most", "0", "--yes")
    assert (status, told["submission"], told["cancelled"]) == (3, None, 6), said


def test_a_tenant_that_cannot_be_asked_stops_no_other(usher: Usher) -> None:
    """A dry run names it, status 1. With --yes its rows wait for the credential, as those of an
    invitation do, unless they are more than a ceiling allows, for nobody can look.
    """
    email = add(usher, "cronus")[0]
    ask = ("guests", "enable", email, "-c", f"{MISSING},cronus")
    status, told, said = run(usher, *ask, "--dry-run")
    assert (status, told["submission"], told["rows"]) == (1, None, 1), said
    assert [one["connection"] for one in told["unasked"]] == [MISSING]
    assert f"! {MISSING}: " in said
    status, told, said = run(usher, *ask, "--yes", "--wait", "3")
    assert (status, told["pending"], {job["connection"]: job["state"] for job in told["jobs"]}) == (
        3,
        1,
        {MISSING: "held", "cronus": "done"},
    ), said
    assert run(usher, "jobs", "cancel", told["submission"])[0] == 0
    for command in ("enable", "remind"):
        status, told, said = run(usher, "guests", command, email, "-c", f"{MISSING},cronus", "--most", "0", "--yes")
        assert status == 3, said
        assert f"! {MISSING}: " in said
        assert MISSING not in [job["connection"] for job in told.get("jobs", [])]


def test_one_tenants_hold_holds_no_other(usher: Usher) -> None:
    """Nor does an approval that one connection waits for: each is told, status 3, and all goes on
    by the submission's name.
    """
    email = add(usher, *NAMES)[0]
    usher.run("connections", "hold", "cronus", "--reason", "the customer asked for it")
    status, told, said = run(usher, "guests", "disable", email, "-c", "approved,bellows,cronus", "--yes", "--wait", "3")
    states = {job["connection"]: job["state"] for job in told["jobs"]}
    assert (status, states) == (3, {"approved": "held", "bellows": "done", "cronus": "held"}), said
    assert re.search(r"^! approved: Held, .*approves it", said, re.MULTILINE), said
    assert re.search(r"^! cronus: Held, .*the customer asked for it", said, re.MULTILINE), said
    assert {name for name, one in found(usher, "--disabled") if one == email} == {"bellows"}
    left = usher.run("guests", "undo", told["submission"], "--yes")
    assert (left.status, "! approved: Job" in left.err) == (1, True), left.err
    assert run(usher, "jobs", "cancel", told["submission"])[0] == 0
    usher.run("connections", "reopen", "cronus")
    assert not {name for name, one in found(usher, "--disabled") if one == email}


def test_guests_are_reminded_and_updated_through_several(usher: Usher) -> None:
    """Those operations are planned as an invitation is: a line a tenant, one submission."""
    email = add(usher, *NAMES, state="PendingAcceptance")[0]
    status, told, said = run(usher, "guests", "remind", email, "-c", ALL, "--yes")
    assert (status, told["rows"], told["done"], len(told["jobs"])) == (0, 3, 3, 3), said
    text = f"email,company,connection\n{email},Fabrikam,cronus\n"
    status, told, said = run(usher, "guests", "update", "-", "-c", ALL, "--yes", text=text)
    assert (status, told["rows"], told["done"]) == (0, 1, 1), said


def test_what_failed_is_tried_again_by_the_one_name(usher: Usher) -> None:
    """Without --yes it is shown and nothing is done; with it each row goes through its connection,
    as a new submission.
    """
    late, there = people(2)
    add(usher, "adatum", "bellows", emails=[there])
    status, told, said = run(usher, "guests", "disable", late, there, "-c", "adatum,bellows", "--yes")
    assert (status, told["done"], told["failed"]) == (1, 2, 2), said
    submission = told["submission"]
    add(usher, "adatum", "bellows", emails=[late])
    dry = usher.run("jobs", "retry", submission, COLUMNS="200")
    assert re.search(r"^together +2 ", dry.out, re.MULTILINE), (dry.out, dry.err)
    assert ("adatum", late) not in found(usher, "--disabled")
    status, told, said = run(usher, "jobs", "retry", submission, "--yes")
    assert (status, told["rows"], told["done"]) == (0, 2, 2), (told, said)
    assert {("adatum", late), ("bellows", late)} <= found(usher, "--disabled")
    assert told["submission"] != submission
    own = [run(usher, "jobs", "show", job["job"])[1]["info"] for job in told["jobs"]]
    assert {info["submission"] for info in own} == {told["submission"]}


@pytest.mark.parametrize("heading", ["conection", "Kunde"])
def test_a_column_that_may_be_connection_stops_everything(usher: Usher, heading: str) -> None:
    """Left out, the guest would be gone in every tenant: one of `delete` and of `invite`."""
    (guest,) = add(usher, *NAMES)
    for command in (("guests", "delete"), ("invite",)):
        done = usher.run(*command, "-", "-c", ALL, "--yes", text=f"email,{heading}\n{guest},adatum\n")
        assert done.status == 2
        assert f"a column “{heading}”, which may be meant to say through which connection a row goes" in done.err
    assert {(name, guest) for name in NAMES} <= found(usher)


def test_a_row_for_nobody_is_told_where_the_first_ones_job_is_not_made(usher: Usher) -> None:
    """It is the submission's and nobody's, whatever becomes of each connection's rows."""
    two, one, stray = add(usher, "adatum", emails=people(2)), add(usher, "bellows"), people(1)[0]
    rows = [*((email, "adatum") for email in two), (one[0], "bellows"), (stray, "zzz")]
    text = "email,connection\n" + "".join(f"{email},{name}\n" for email, name in rows)
    ask = ("guests", "disable", "-", "-c", "adatum,bellows", "--most", "1", "--yes")
    status, told, said = run(usher, *ask, text=text)
    assert (status, told["ceilings"], told["done"], told["failed"]) == (3, ["most"], 1, 1), (told, said)
    assert [job["connection"] for job in told["jobs"]] == ["bellows", ""]
    assert (stray, "zzz") in {(row["email"], row["connection"]) for row in results_of(usher, told["submission"])}
