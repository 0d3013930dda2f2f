"""The guests of several tenants are listed, counted and shown by one command."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.options import DEFAULT_ROLES
from tests.integration.tenants.test_several import NOWHERE, write_tenants
from tests.ushers import Usher, run_usher

NAMES = ("adatum", "bellows", "cronus")


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """One worker, three tenants of one application, and one tenant that there is not."""
    listed = folder / "tenants.csv"
    with run_usher(
        folder,
        sandbox_options=("--quota", "off", "--replication", "0", "--tenants", "3", "--shared-app"),
        tables=lambda ready: write_tenants(listed, ready, NAMES),
        more_env={"USHER_CONNECTIONS_FILE": str(listed)},
    ) as running:
        for name in NAMES:
            add(running, name)
        yield running


def add(usher: Usher, name: str, count: int = 1, **seen: object) -> list[str]:
    """Put guests into one tenant; returns their addresses."""
    emails = [f"guest-{uuid.uuid4().hex[:10]}@partner.example" for _ in range(count)]
    tenant = usher.sandbox.ready["tenants"][NAMES.index(name)]["tenant_id"]
    users = [{"email": email} for email in emails]
    usher.sandbox.ask("users", {"tenant_id": tenant, "action": "add", "users": users, **seen})
    return emails


def test_a_listing_begins_with_the_connection(usher: Usher) -> None:
    """In the order of the names, in each form; --limit is of each tenant; a single one is listed as
    ever.
    """
    mine, theirs = add(usher, "adatum", 2), add(usher, "bellows")
    path = usher.folder / "guests.csv"
    done = usher.run("guests", "list", "-c", "bellows,adatum", "-o", str(path))
    assert done.status == 0, done.err
    rows = [*csv.DictReader(path.read_text().splitlines())]
    assert next(iter(rows[0])) == "connection"
    assert [rows[0]["connection"], rows[-1]["connection"]] == ["bellows", "adatum"]
    found = {(row["connection"], row["email"]) for row in rows}
    assert found >= {("bellows", theirs[0]), *(("adatum", email) for email in mine)}
    assert not {("bellows", mine[0]), ("adatum", theirs[0])} & found
    limited = usher.run("guests", "list", "-c", "tag:eu,cronus", "--limit", "1", "--format", "jsonl")
    told = [json.loads(line) for line in limited.out.splitlines()]
    assert [next(iter(one.items())) for one in told] == [("connection", name) for name in NAMES]
    assert usher.run("guests", "list", "-c", "tag:eu", COLUMNS="200").out.split()[:2] == ["connection", "id"]
    assert usher.run("guests", "list", "-c", "adatum", COLUMNS="200").out.split()[0] == "id"


def test_a_tenant_that_cannot_be_asked_is_a_sentence(usher: Usher) -> None:
    """The others are told all the same, status 1; where none can be asked there is nothing to tell,
    status 2.
    """
    chosen = f"adatum,{NOWHERE},cronus"
    done = usher.run("guests", "list", "-c", chosen, "--format", "jsonl")
    assert done.status == 1
    assert {json.loads(line)["connection"] for line in done.out.splitlines()} == {"adatum", "cronus"}
    assert f"! {NOWHERE}: " in done.err
    done = usher.run("guests", "funnel", "-c", chosen, "--json")
    told = json.loads(done.out)
    assert (done.status, [one["connection"] for one in told["rows"]]) == (1, ["adatum", "cronus"]), done.err
    assert [one["connection"] for one in told["unasked"]] == [NOWHERE]
    assert told["unasked"][0]["why"]
    for command in ("list", "funnel"):
        done = usher.run("guests", command, "-c", f"{NOWHERE},{NOWHERE}")
        assert (done.status, done.out) == (2, ""), done.err
        assert "No tenant could be asked" in done.err


def test_all_tenants_are_counted_together(usher: Usher) -> None:
    """A line a tenant, and divided further where that is asked for; the total is of all of them."""
    add(usher, "cronus", 3, state="PendingAcceptance")
    done = usher.run("guests", "funnel", "-c", ",".join(NAMES), "--json")
    told = json.loads(done.out)
    assert (done.status, "connection" in told, told["unasked"]) == (0, False, []), done.err
    assert [row["connection"] for row in told["rows"]] == [*NAMES]
    assert told["total"]["guests"] == sum(row["guests"] for row in told["rows"])
    assert told["total"]["pending"] >= 3
    table = usher.run("guests", "funnel", "-c", "tag:us,tag:eu", "--by", "domain", COLUMNS="200").out.splitlines()
    assert table[0].split()[:3] == ["connection", "domain", "guests"]
    assert any(line.split()[:2] == ["cronus", "partner.example"] for line in table)
    assert table[-1].split()[:2] == ["all", str(told["total"]["guests"])]
    path, picture = usher.folder / "funnel.csv", usher.folder / "funnel.svg"
    done = usher.run("guests", "funnel", "-c", "tag:eu", "-o", str(path), "--plot", str(picture))
    assert path.read_text().splitlines()[0].split(",")[:2] == ["connection", "guests"], done.err
    assert "Guests of 2 tenants" in picture.read_text()


def test_who_has_accepted_is_counted_over_all_jobs(usher: Usher) -> None:
    """Of a submission, by asking each tenant; one that cannot be asked is a sentence."""
    email = f"guest-{uuid.uuid4().hex[:10]}@partner.example"
    done = usher.run("invite", email, "-c", "adatum,bellows", "--yes", "--json")
    submission = json.loads(done.out)["submission"]
    accepts, hides = ({"tenant_id": tenant["tenant_id"]} for tenant in usher.sandbox.ready["tenants"][:2])
    usher.sandbox.ask("users", {**accepts, "action": "accept", "email": email})
    shown = usher.run("jobs", "show", submission, "--accepted", COLUMNS="200")
    assert "1 of 2 guests until now, 1 pending" in shown.out, shown.err
    usher.sandbox.ask("policy", {**hides, "roles": ["User.Invite.All"]})
    usher.run("connections", "check", "bellows")  # takes a new token
    shown = usher.run("jobs", "show", submission, "--accepted", "--json")
    usher.sandbox.ask("policy", {**hides, "roles": DEFAULT_ROLES})
    usher.run("connections", "check", "bellows")
    told = json.loads(shown.out)["accepted"]
    assert [told[name] for name in ("guests", "accepted", "pending", "unknown", "gone")] == [1, 1, 0, 0, 0], told
    assert [one["connection"] for one in told["unread"]] == ["bellows"]
    assert "cannot be told of bellows: " in shown.err


def test_a_guest_is_shown_wherever_they_are(usher: Usher) -> None:
    """Nobody has to be in each tenant; who is in none is not found."""
    [email] = add(usher, "cronus")
    done = usher.run("guests", "show", email, "-c", "all", "--json")
    told = json.loads(done.out)
    assert done.status == 1, done.err  # one tenant of `all` is not there
    assert [(one["connection"], one["email"]) for one in told["guests"]] == [("cronus", email)]
    shown = usher.run("guests", "show", email, "-c", ",".join(NAMES))
    assert (shown.status, shown.out.split()[:2]) == (0, ["connection", "cronus"])
    nobody = usher.run("guests", "show", "nobody@partner.example", "-c", "tag:eu")
    assert (nobody.status, "these 2 tenants has this address" in nobody.err) == (2, True), nobody.err


def test_secrets_of_several_begin_with_the_connection(usher: Usher) -> None:
    """As those of one do not; a tenant that cannot be asked is a sentence."""
    for name, tenant in zip(NAMES, usher.sandbox.ready["tenants"], strict=True):
        secret = {"name": "x", "in_s": 864_000}
        asked = {"tenant_id": tenant["tenant_id"], "action": "add", "name": f"CRM {name}", "secrets": [secret]}
        usher.sandbox.ask("applications", asked)
    listing = ("secrets", "list", "--format", "csv", "--within", "30d", "-c")
    done = usher.run(*listing, ",".join([*NAMES, NOWHERE]))
    rows = [(row["connection"], row["application"]) for row in csv.DictReader(done.out.splitlines())]
    assert [row for row in rows if row[1].startswith("CRM")] == [(name, f"CRM {name}") for name in NAMES]
    assert (done.status, NOWHERE in done.err) == (1, True), done.err
    done = usher.run(*listing, "bellows")
    assert (done.status, done.out.startswith("application,")) == (0, True), done.err
