"""A line of the list of connections is faulty: its connection waits, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.tenants.three import people, run, run_three
from tests.ushers import Usher


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """Three tenants and a worker."""
    with run_three(folder) as usher:
        yield usher


@contextmanager
def broken(folder: Path) -> Iterator[str]:
    """Let the line of cronus have no tenant; yields what is said of it."""
    listed = folder / "tenants.csv"
    whole = listed.read_text()
    lines = [
        f"cronus;nowhere;{line.split(';', 2)[2]}" if line.startswith("cronus") else line for line in whole.splitlines()
    ]
    listed.write_text("\n".join(lines) + "\n")
    try:
        yield "tenants.csv line 4: tenant_id must be the tenant's GUID or one of its verified domain names"
    finally:
        listed.write_text(whole)


def listed_text(count: int) -> str:
    """Return a list of new people."""
    return "email\n" + "".join(f"{one}\n" for one in people(count))


def test_others_are_invited_and_it_is_told(usher: Usher, folder: Path) -> None:
    """Where it is named, and where it may be meant; what only asks the ledger goes on."""
    with broken(folder) as fault:
        status, told, _ = run(
            usher, "invite", "-", "-c", "adatum,bellows", "--yes", "--wait", "20", text=listed_text(2)
        )
        assert (status, told["invited"]) == (0, 4)
        status, told, _ = run(usher, "invite", "-", "-c", "adatum", "--yes", "--wait", "20", text=listed_text(1))
        assert (status, told["invited"]) == (0, 1)
        for chosen in ("cronus", "all", "tag:eu"):
            done = usher.run("invite", "-", "-c", chosen, "--yes", text=listed_text(1), COLUMNS="300")
            assert (done.status, fault in done.err) == (2, True), (chosen, done.err)
            done = usher.run("guests", "list", "-c", chosen, COLUMNS="300")
            assert (done.status, fault in done.err) == (2, True), (chosen, done.err)
        done = usher.run("connections", "list", COLUMNS="300")
        assert done.status == 0, done.err
        assert fault in done.out
        checked = usher.run("connections", "check", "all", COLUMNS="300")
        assert (checked.status, fault in checked.out) == (1, True), checked.out
        facts = json.loads(usher.run("doctor", "--json").out)["findings"]
        assert [fault in one["what"] for one in facts if one["about"] == "configuration"] == [True]
        assert usher.run("jobs", "list").status == 0


def test_it_can_be_stopped_and_goes_on(usher: Usher, folder: Path) -> None:
    """A hold takes it by name, by tag and as one of all; the running worker knows its tenant
    still.
    """
    assert usher.run("connections", "hold", "cronus", "--reason", "wait").status == 0
    _, told, _ = run(usher, "invite", "-", "-c", "cronus", "--yes", "--wait", "1", text=listed_text(2))
    with broken(folder) as fault:
        for name in ("cronus", "all", "tag:eu"):
            done = usher.run("connections", "hold", name, "--reason", "stop")
            assert (done.status, "cronus is held" in done.out or name == "tag:eu") == (0, True), done.err
        shown = usher.run("jobs", "show", told["job"], COLUMNS="300").out
        assert "waits until its line in the list of connections is good again" in shown
        assert fault in shown
        assert usher.run("connections", "reopen", "all").status == 0
        status, after, said = run(usher, "jobs", "watch", told["job"], "--wait", "20")
        assert (status, after["invited"]) == (0, 2), said


def test_two_lines_of_one_tenant_are_no_good_line(usher: Usher, folder: Path) -> None:
    """List, check, doctor, the plans and `add` say so; and nobody is kept from anything."""
    listed = folder / "tenants.csv"
    whole = listed.read_text()
    adatum = next(line for line in whole.splitlines() if line.startswith("adatum"))
    listed.write_text(whole + adatum.replace("adatum", "donar", 1) + "\n")
    sentence = "adatum, approved and donar are the same tenant: if that is not meant, mend tenant_id"
    try:
        assert sentence in usher.run("connections", "list", COLUMNS="300").err
        checked = usher.run("connections", "check", "donar", COLUMNS="300")
        assert (checked.status, f"!  {sentence}" in checked.out) == (0, True), checked.out
        assert f"!  {sentence}" in usher.run("doctor", COLUMNS="300").out
        for chosen in ("donar", "donar,bellows"):
            done = usher.run("invite", "-", "-c", chosen, "--dry-run", text=listed_text(1), COLUMNS="300")
            assert (done.status, sentence in done.err) == (0, True), done.err
        done = usher.run("guests", "delete", "-", "-c", "donar,bellows", text=listed_text(1), COLUMNS="300")
        assert sentence in done.err, done.err
        tenant, there = adatum.split(";")[1], {"USHER_APPS__MSP__AUTHORITY": usher.sandbox.ready["url"]}
        done = usher.run("connections", "add", "eps", "--app", "msp", "--tenant", tenant, COLUMNS="300", **there)
        assert (done.status, "adatum, approved, donar and eps are the same tenant" in done.err) == (0, True), done.err
    finally:
        listed.write_text(whole)
