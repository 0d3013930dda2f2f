"""The list of connections cannot be read: what needs it waits, and all else goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.tenants.three import people, run, run_three
from tests.processes import running_celery, wait_until
from tests.ushers import Usher

FAULT = "tenants.csv: there is no such file, which connections_file names"
MEANS = "so its connections are not known now, and what is left for them waits; all others go on."


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """Three tenants and a worker; adatum stands in the configuration itself."""
    with run_three(folder, {"adatum": ""}) as usher:
        yield usher


@pytest.fixture
def waiting(usher: Usher) -> Iterator[str]:
    """A job of cronus that waits for somebody; its list is gone, and comes back in the end."""
    usher.run("connections", "hold", "cronus", "--reason", "not yet")
    status, told, said = run(usher, "invite", "-", "-c", "cronus", "--yes", "--wait", "1", text=listed(2))
    assert status == 3, said
    tenants = usher.folder / "tenants.csv"
    away = tenants.rename(usher.folder / "away.csv")
    yield told["job"]
    if away.exists():
        away.rename(tenants)


def listed(count: int) -> str:
    """Return a list of new people."""
    return "email\n" + "".join(f"{one}\n" for one in people(count))


def test_what_asks_the_ledger_alone_goes_on(usher: Usher, waiting: str) -> None:
    """Each says on stderr what is wrong, and what it means; the running worker knows the tenants
    still.
    """
    commands = (
        ("jobs", "list"),
        ("jobs", "show", waiting),
        ("schedules", "list"),
        ("connections", "list"),
        ("connections", "list", "cronus"),
        ("connections", "hold", "bellows", "--reason", "stop"),
        ("connections", "reopen", "bellows"),
        ("jobs", "pause", waiting),
    )
    for command in commands:
        done = usher.run(*command, COLUMNS="400")
        assert (done.status, FAULT in done.err, MEANS in done.err) == (0, True, True), (command, done.err)
        if command == ("jobs", "show", waiting):
            assert "What is left waits until the list of connections can be read again." in done.out
    assert usher.run("jobs", "results", waiting).out.count("pending") == 2
    doctor = usher.run("doctor", "--json")
    told = [one["what"] for one in json.loads(doctor.out)["findings"] if one["about"] == "configuration"]
    assert (doctor.status, FAULT in told[0], MEANS in told[1], len(told)) == (1, True, True, 2)
    for chosen in ("cronus", "all", "tag:eu"):
        done = usher.run("invite", "-", "-c", chosen, "--yes", text=listed(1), COLUMNS="400")
        assert (done.status, FAULT in done.err) == (2, True), (chosen, done.err)
    refused = usher.run("connections", "forget", "cronus", "--yes", COLUMNS="400")
    assert (refused.status, "Nothing was forgotten" in refused.err) == (2, True), refused.err
    assert usher.run("connections", "check", "--all").status == 1
    status, told_of, said = run(usher, "invite", "-", "-c", "adatum", "--yes", "--wait", "20", text=listed(1))
    assert (status, told_of["invited"]) == (0, 1), said
    assert usher.run("connections", "reopen", "cronus").status == 0
    status, told_of, said = run(usher, "jobs", "resume", waiting, "--wait", "20")
    assert (status, told_of["invited"]) == (0, 2), said
    assert FAULT in said.replace("\n", " ")


def test_a_worker_that_starts_then_works_for_the_others(usher: Usher, waiting: str) -> None:
    """And says so; rows of the list's connections wait, and go once it is back."""
    usher.stop_worker()
    log = usher.folder / "second.log"
    options = ("worker", "--without-mingle", "--without-gossip", "-l", "INFO")
    with running_celery(options, log, usher.env, usher.folder):
        status, told, said = run(usher, "invite", "-", "-c", "adatum", "--yes", "--wait", "30", text=listed(1))
        assert (status, told["invited"]) == (0, 1), said
        wait_until(lambda: f"this waits: {usher.folder}/{FAULT}" in log.read_text(), 20, "the worker says so")
        assert usher.ask("usher.check", "cronus")["status"] == "refused"
        told = usher.ask("usher.invite_guest", "cronus", "ann@fabrikam.example")
        assert told["errors"][-1] == "Nothing was accepted: send it again once the list can be read."
        assert usher.run("connections", "reopen", "cronus").status == 0
        wait_until(lambda: "connection cronus is not configured" in log.read_text(), 20, "a chunk is given back")
        assert json.loads(usher.run("jobs", "show", waiting, "--json").out)["pending"] == 2
        (usher.folder / "away.csv").rename(usher.folder / "tenants.csv")
        status, told, said = run(usher, "jobs", "watch", waiting, "--wait", "30")
        assert (status, told["invited"]) == (0, 2), said
