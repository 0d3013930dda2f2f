"""The tenant ids of two lines of the list change places: what was accepted for one customer is not
done in the tenant of another.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.tenants.three import add, found, people, run, run_three
from tests.processes import wait_until
from tests.ushers import Usher


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """Three tenants and a worker."""
    with run_three(folder) as usher:
        yield usher


@pytest.fixture
def swapped(usher: Usher) -> Iterator[None]:
    """The list is as it was afterwards, and no connection is held."""
    yield
    usher.run("connections", "reopen", "adatum,bellows")


def swap(usher: Usher) -> None:
    """Let two tenants change places, as a sheet does of which one column is sorted; the worker has
    read it then, for it knows a line that is new.
    """
    listed = usher.folder / "tenants.csv"
    lines = [line.split(";") for line in listed.read_text().splitlines()]
    one, other = (next(line for line in lines if line[0] == name) for name in ("adatum", "bellows"))
    for column in (1, 4):  # tenant_id, authority
        one[column], other[column] = other[column], one[column]
    new = f"cronus-{uuid.uuid4().hex[:8]}"
    lines.append([new, *next(line for line in lines if line[0] == "cronus")[1:]])
    listed.write_text("\n".join(map(";".join, lines)) + "\n")
    wait_until(lambda: usher.ask("usher.check", new).get("status") != "refused", 30, "the worker reads the list again")


@pytest.mark.usefixtures("swapped")
def test_rows_wait_for_the_tenant_that_they_were_accepted_for(usher: Usher) -> None:
    """The job is held with a sentence, nobody is invited into the other's tenant; once the list is
    right again it goes on, in its own.
    """
    guests = people(3)
    usher.run("connections", "hold", "adatum", "--reason", "not yet")
    text = "email\n" + "\n".join(guests)
    status, told, said = run(usher, "invite", "-", "-c", "adatum", "--yes", "--wait", "1s", text=text)
    assert (status, told["state"]) == (3, "held"), said
    job = told["job"]
    swap(usher)
    usher.run("connections", "reopen", "adatum")

    def shown() -> str:
        return str(json.loads(usher.run("jobs", "show", job, "--json").out)["why"])

    wait_until(lambda: "stood for another tenant" in shown(), 30, "the job is held")
    assert "changed places" in shown()
    assert f"usher jobs resume {job}" in shown()
    assert not {email for _, email in found(usher)} & set(guests)
    status, _, said = usher.run("jobs", "resume", job)
    assert status == 3, said
    assert "stood for another tenant" in said
    swap(usher)

    def is_done() -> bool:
        usher.run("jobs", "resume", job)
        return bool(json.loads(usher.run("jobs", "show", job, "--json").out)["state"] == "done")

    wait_until(is_done, 40, "the job goes on in its own tenant")
    assert {one for one in found(usher) if one[1] in guests} == {("adatum", email) for email in guests}


@pytest.mark.usefixtures("swapped")
def test_what_a_job_did_is_undone_and_tried_again_in_its_own_tenant_alone(usher: Usher) -> None:
    """Neither is begun in another one."""
    (email,) = add(usher, "adatum", "bellows", state="PendingAcceptance")
    _, told, said = run(usher, "guests", "disable", email, "-c", "adatum", "--yes")
    assert told["done"] == 1, said
    _, failed, said = run(usher, "invite", "nobody@blocked.example", "-c", "adatum", "--yes")
    assert failed["failed"] == 1, said
    commands = [("guests", "undo", told["job"], "--yes"), ("jobs", "retry", failed["job"], "--yes")]
    swap(usher)
    try:
        for command in commands:
            status, _, said = usher.run(*command)
            assert status == 2, said
            assert f"Connection adatum stood for another tenant when job {command[2]} was accepted" in said
    finally:
        swap(usher)
    for command, ended in zip(commands, (0, 1), strict=True):  # the sandbox refuses nobody@ again
        status, done, said = run(usher, *command)
        assert (status, done["rows"]) == (ended, 1), said
