"""A list of connections loses lines while work is under way: what is left waits, and is told of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.tenants.three import NAMES, people, run, run_three
from tests.processes import wait_until
from tests.ushers import Usher


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """Three tenants and a worker."""
    with run_three(folder) as usher:
        yield usher


def test_what_is_left_for_a_lost_connection_waits(usher: Usher, folder: Path) -> None:
    """Log, doctor, list and job say so, though the list ends as a whole one does; and all of it
    goes on once the line is back.
    """
    listed = folder / "tenants.csv"
    whole = listed.read_text()
    usher.run("connections", "hold", "cronus", "--reason", "wait")
    text = "email\n" + "".join(f"{one}\n" for one in people(2))
    _, told, _ = run(usher, "invite", "-", "-c", "adatum,cronus", "--yes", "--wait", "1", text=text)
    job = {one["connection"]: one["job"] for one in told["jobs"]}["cronus"]
    try:
        listed.write_text("".join(line for line in whole.splitlines(True) if not line.startswith("cronus")))
        sentence = "cronus is in the configuration no longer, and 1 job of it waits."
        done = usher.run("connections", "list", COLUMNS="200")
        assert sentence in done.err + done.out
        doctor = usher.run("doctor", "--json")
        facts = [one for one in json.loads(doctor.out)["findings"] if one["about"] == "connections"]
        assert [(one["ok"], one["what"].startswith(sentence)) for one in facts] == [(False, True)]
        for shown in (job, told["submission"]):
            said = usher.run("jobs", "show", shown, COLUMNS="200").out
            assert "cronus is in the configuration no longer: what is left waits" in said
        assert usher.run("jobs", "show", job, "--json").out.count('"held"') >= 1
        gone = " connections are gone from the configuration, and what is left for them waits: cronus"
        wait_until(lambda: gone in usher.log(), 20, "the worker says so")
    finally:
        listed.write_text(whole)
    assert usher.run("connections", "reopen", "cronus").status == 0
    status, after, said = run(usher, "jobs", "watch", told["submission"], "--wait", "20")
    assert (status, after["invited"], after["pending"]) == (0, 4, 0), said
    assert not [name for name in NAMES if f"{name} is in the configuration no longer" in usher.run("doctor").out]


def test_a_hold_goes_on_to_another_name_of_its_tenant(usher: Usher, folder: Path) -> None:
    """Whoever gives the line of a held connection another name does not open it: that is held at
    its first job, and whoever reopens it lifts both. Rows that are no connection's are of none that
    is gone.
    """
    listed = folder / "tenants.csv"
    whole = listed.read_text()
    assert run(usher, "invite", people(1)[0], "-c", "cronus", "--yes", "--wait", "20")[1]["invited"] == 1
    usher.run("connections", "hold", "cronus", "--reason", "they asked us to stop")
    text = f"email,connection\n{people(1)[0]},adatum\n{people(1)[0]},nobody\n"
    assert run(usher, "invite", "-", "-c", "adatum,bellows", "--yes", text=text)[1]["failed"] == 1
    try:
        listed.write_text(whole.replace("\ncronus", "\ncronus-gmbh"))
        facts = json.loads(usher.run("doctor", "--json").out)["findings"]
        told = [(one["ok"], one["what"]) for one in facts if one["about"] == "connections"]
        assert [(ok, "they asked us to stop" in what, "held at its first job" in what) for ok, what in told] == [
            (False, True, True)
        ]
        assert "they asked us to stop" in usher.run("connections", "list").err.replace("\n", " ")
        text = f"email\n{people(1)[0]}\n"
        status, told_of, said = run(usher, "invite", "-", "-c", "cronus-gmbh", "--yes", "--wait", "20", text=text)
        assert (status, told_of["state"], told_of["pending"]) == (3, "held", 1), said
        why = json.loads(usher.run("jobs", "show", told_of["job"], "--json").out)["why"]
        assert why.startswith("It is of the same tenant as cronus, which is held and in the configuration no longer.")
        assert "they asked us to stop. `usher connections reopen cronus-gmbh` lifts it." in why
        assert usher.run("connections", "reopen", "cronus-gmbh").status == 0
        status, told_of, said = run(usher, "jobs", "watch", told_of["job"], "--wait", "20")
        assert (status, told_of["invited"]) == (0, 1), said
    finally:
        listed.write_text(whole)
    assert "cronus was not held" in usher.run("connections", "reopen", "cronus").out
