"""The guests of a tenant, listed and shown by the real command against the sandbox."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sites import Site

pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=("User.Read.All",))
"""An application that may read users, and nothing else."""
SEEDED = {"linus@partner.example", "margaret@partner.example", "disabled@partner.example", "pending@partner.example"}
NASTY = '=HYPERLINK("https://evil.example")'


def ago(days: float) -> str:
    """An instant as Graph writes it."""
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def add(site: Site, *users: dict[str, Any]) -> None:
    """Put users into the tenant."""
    assert site.sandbox.ask("users", {"action": "add", "users": list(users)})["ok"]


def allow(site: Site, *roles: str) -> None:
    """Give the application these permissions."""
    site.sandbox.ask("policy", {"roles": list(roles)})


def listed(site: Site, *options: str) -> set[str]:
    """The addresses that a listing shows."""
    status, out, err = site.run("guests", "list", "-c", "contoso", "--format", "jsonl", *options)
    assert status == 0, err
    return {json.loads(line)["email"] for line in out.splitlines()}


def pages(site: Site) -> list[dict[str, Any]]:
    """The requests for users that Graph got."""
    found: list[dict[str, Any]] = site.sandbox.ask("requests?operation=users")
    return found


@contextmanager
def failing(site: Site, **fault: Any) -> Iterator[None]:
    """Faults on the listing."""
    site.sandbox.ask("faults", {"faults": [{"on": ["users"], **fault}]})
    yield
    site.sandbox.ask("faults", {"faults": []})


def test_guests_are_listed_and_members_are_not(site: Site) -> None:
    """With state, dates and whether they may sign in; as a table, CSV for spreadsheets, JSON lines;
    a file is its owner's.
    """
    add(site, {"email": "x@odd.example", "display_name": NASTY, "state": None})
    status, out, err = site.run("guests", "list", "-c", "contoso", COLUMNS="200")
    assert (status, "ada@" in out, "5 guests of 5 guests" in err) == (0, False, True)
    assert out.split("\n")[0].split() == ["id", "email", "display_name", "state", "state_since", "created", "enabled"]
    path = site.folder / "guests.csv"
    assert site.run("guests", "list", "-c", "contoso", "-o", str(path)).status == 0
    assert path.stat().st_mode & 0o777 == 0o600
    rows = {row["email"]: row for row in csv.DictReader(path.read_text().splitlines())}
    assert rows.keys() == SEEDED | {"x@odd.example"}
    assert rows["x@odd.example"]["display_name"] == f"'{NASTY}"
    assert {email: (row["state"], row["enabled"]) for email, row in rows.items()} == {
        "linus@partner.example": ("accepted", "true"),
        "margaret@partner.example": ("accepted", "true"),
        "disabled@partner.example": ("accepted", "false"),
        "pending@partner.example": ("pending", "true"),
        "x@odd.example": ("unknown", "true"),
    }
    status, out, _ = site.run("guests", "list", "-c", "contoso", "--state", "unknown", "--format", "jsonl")
    told = json.loads(out)
    assert (told["display_name"], told["enabled"], told["state_since"]) == (NASTY, True, None)
    assert site.sandbox.ask("stats")["items"] == {"users": {"200": 3}}


def test_a_choice_narrows_the_list(site: Site) -> None:
    """State, age, domain with what is below it, sponsor, enabled, a limit; who has no sponsor is
    told by Graph.
    """
    add(
        site,
        {"email": "old@a.corp.example", "state": "PendingAcceptance", "created_at": ago(40)},
        {"email": "new@corp.example", "state": "PendingAcceptance", "sponsors": ["ada@contoso.example"]},
        {"email": "other@mycorp.example", "created_at": ago(40), "enabled": False},
    )
    assert listed(site, "--state", "pending", "--domain", "corp.example") == {"old@a.corp.example", "new@corp.example"}
    assert listed(site, "--invited-before", "30d") == {"old@a.corp.example", "other@mycorp.example"}
    assert listed(site, "--disabled") == {"other@mycorp.example", "disabled@partner.example"}
    assert listed(site, "--no-sponsor", "--domain", "Corp.Example") == {"old@a.corp.example"}
    assert len(listed(site, "--limit", "2")) == 2
    out = site.run("guests", "list", "-c", "contoso", "--with", "sponsors", "--domain", "corp.example").out
    assert "Ada Lovelace" in out


@pytest.mark.usefixtures("one_day")
def test_who_ends_soon_is_listed_with_the_day(site: Site) -> None:
    """As the tenant keeps it, whoever wrote it; who has ended is among them."""
    days = {"past@a.example": -3, "soon@a.example": 10, "later@a.example": 20}
    ends = {email: f"{datetime.now(UTC) + timedelta(days=count):%Y-%m-%d}" for email, count in days.items()}
    add(
        site,
        *({"email": email, "extension_attributes": {"extensionAttribute10": day}} for email, day in ends.items()),
        {"email": "ever@a.example", "extension_attributes": {"extensionAttribute10": "for ever"}},
    )
    assert listed(site, "--expires-within", "14d") == {"past@a.example", "soon@a.example"}
    status, out, err = site.run("guests", "list", "-c", "contoso", "--format", "csv", "--with", "expires")
    assert status == 0, err
    rows = list(csv.DictReader(out.splitlines()))
    assert {row["email"]: row["expires"] for row in rows if row["email"] in ends} == ends


def test_thousands_are_read_at_the_most_for_a_page(site: Site) -> None:
    """Busy pages are asked for again; nobody is missing and nobody twice."""
    add(site, *({"email": f"n{n}@many.example"} for n in range(2_500)))
    with failing(site, fault="429", skip=1, times=1, retry_after="1"):
        status, out, err = site.run("guests", "list", "-c", "contoso", "--format", "jsonl")
    assert status == 0, err
    ids = [json.loads(line)["id"] for line in out.splitlines()]
    assert len(ids) == len(set(ids)) == 2_504
    assert [request["status"] for request in pages(site)] == [200, 429, 200, 200]


def test_a_page_that_ended_begins_the_listing_again(site: Site) -> None:
    """Nobody is there twice; when it ends time and again, that is one sentence and no list."""
    add(site, *({"email": f"n{n}@many.example"} for n in range(1_500)))
    fault = {"fault": "error", "status": 400, "code": "Directory_ExpiredPageToken", "message": "The token expired."}
    with failing(site, **fault, skip=1, times=1):
        assert len(listed(site)) == 1_504
    assert [request["status"] for request in pages(site)] == [200, 400, 200, 200]
    path = site.folder / "none.csv"
    with failing(site, **fault, every=2):
        status, out, err = site.run("guests", "list", "-c", "contoso", "-o", str(path))
    assert (status, out, "Graph ended its pages 4 times" in err, path.exists()) == (2, "", True, False)


def test_who_is_inactive_is_told_by_the_latest_of_all_dates(site: Site) -> None:
    """A failed attempt counts; never signed in counts from acceptance; who has not accepted is not
    listed.
    """
    allow(site, "User.Read.All", "AuditLog.Read.All")
    long, now = ago(200), ago(1)
    old = {"created_at": long, "state_changed_at": long}
    add(
        site,
        {"email": "gone@a.example", **old, "sign_ins": {"lastSignInDateTime": long}},
        {"email": "never@a.example", **old},
        {"email": "late@a.example", **old, "state_changed_at": now},
        {"email": "waits@a.example", **old, "state": "PendingAcceptance"},
        {
            "email": "tries@a.example",
            **old,
            "sign_ins": {"lastSignInDateTime": now, "lastSuccessfulSignInDateTime": long},
        },
        {"email": "client@a.example", **old, "sign_ins": {"lastNonInteractiveSignInDateTime": now}},
    )
    with failing(site, fault="429", skip=1, times=1, retry_after="1"):
        assert listed(site, "--inactive", "90d") == {"gone@a.example", "never@a.example"}
    assert [request["status"] for request in pages(site)] == [200, 429, 200]
    assert all("top=500" in request["path"] or "top=1&" in request["path"] for request in pages(site))


def test_dates_that_may_not_be_read_list_nobody_as_inactive(site: Site) -> None:
    """Without the permission, and in a tenant that shows them to nobody; a column of them is left
    out with a sentence.
    """
    status, out, err = site.run("guests", "list", "-c", "contoso", "--inactive", "1d")
    assert (status, out, "AuditLog.Read.All" in err) == (2, "", True)
    status, out, err = site.run("guests", "list", "-c", "contoso", "--with", "last_sign_in")
    assert (status, "linus@" in out, "last_sign_in" in out, "left out" in err) == (0, True, False, True)
    allow(site, "User.Read.All", "AuditLog.Read.All")
    assert site.run("connections", "check", "contoso").status == 1  # it takes a new token; inviting is not allowed
    status, out, err = site.run("guests", "list", "-c", "contoso", "--inactive", "1d")
    assert (status, out, "nobody is listed" in err) == (2, "", True)


def test_users_that_may_not_be_read_are_one_sentence(site: Site) -> None:
    """It names the permission."""
    allow(site, "User.Invite.All")
    status, out, err = site.run("guests", "list", "-c", "contoso")
    assert (status, out, err.count("\n"), "User.Read.All" in err) == (2, "", 1, True), err


def test_one_guest_is_shown_by_address_or_id(site: Site) -> None:
    """A member is none, and neither is nobody."""
    add(site, {"email": "one@a.example", "sponsors": ["ada@contoso.example"], "state_changed_at": ago(2)})
    status, out, err = site.run("guests", "show", "One@A.example", "-c", "contoso", "--json")
    assert status == 0, err
    (told,) = json.loads(out)["guests"]
    assert (told["email"], told["state"], told["sponsors"]) == ("one@a.example", "accepted", ["Ada Lovelace"])
    assert "AuditLog.Read.All" in err
    shown = site.run("guests", "show", told["id"], "-c", "contoso")
    assert (shown.status, "one@a.example" in shown.out, "Ada Lovelace" in shown.out) == (0, True, True)
    status, _, err = site.run("guests", "show", "ada@contoso.example", "-c", "contoso")
    assert (status, "is a member" in err) == (2, True)
    status, _, err = site.run("guests", "show", "who@a.example", "-c", "contoso")
    assert (status, "Nobody in the tenant of contoso has this" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--invited-before", "30"), "no age such as 30d"),
        (("--format", "table", "-o", "x.csv"), "A table is for the terminal"),
        (("-o", "/nowhere/x.csv"), "cannot be written"),
    ],
)
def test_bad_usage_is_one_sentence(site: Site, options: tuple[str, ...], words: str) -> None:
    """Status 2, before anybody is asked."""
    status, out, err = site.run("guests", "list", "-c", "contoso", *options)
    assert (status, out, words in err) == (2, "", True)
    assert pages(site) == []


def test_users_are_listed_members_too(site: Site) -> None:
    """With their type and principal name, as guests are."""
    status, out, err = site.run("users", "list", "-c", "contoso", "--format", "jsonl")
    assert status == 0, err
    found = {one["email"]: one for one in map(json.loads, out.splitlines())}
    assert found.keys() == SEEDED | {"ada@contoso.example", "grace@contoso.example"}
    assert (found["ada@contoso.example"]["user_type"], found["linus@partner.example"]["user_type"]) == (
        "member",
        "guest",
    )
    members = site.run("users", "list", "-c", "contoso", "--type", "member", "--domain", "contoso.example")
    assert (members.status, "ada@" in members.out, "linus@" in members.out) == (0, True, False)
    assert "2 users of 6 users" in members.err
    disabled = site.run("users", "list", "-c", "contoso", "--disabled", "--limit", "1", "--format", "csv").out
    assert [line.split(",")[1] for line in disabled.splitlines()] == ["email", "disabled@partner.example"]


def test_a_user_is_found_by_id_principal_name_address_or_name(site: Site) -> None:
    """Whoever bears a name is shown; nobody is one sentence."""
    add(
        site,
        {"email": "o@a.example", "display_name": "Linus O'Known"},
        {"email": "twin@a.example", "display_name": "Linus Known"},
    )

    def get(who: str) -> list[dict[str, Any]]:
        status, out, err = site.run("users", "get", who, "-c", "contoso", "--json")
        assert status == 0, err
        users: list[dict[str, Any]] = json.loads(out)["users"]
        return users

    (linus,) = get("Linus@Partner.example")
    assert get(linus["id"].upper()) == get(linus["upn"]) == [linus]
    assert {user["email"] for user in get("linus known")} == {"linus@partner.example", "twin@a.example"}
    assert [user["email"] for user in get("Linus O'Known")] == ["o@a.example"]
    status, out, _ = site.run("users", "get", linus["id"], "-c", "contoso")
    assert (status, linus["upn"] in out) == (0, True)
    status, _, err = site.run("users", "get", "Nobody", "-c", "contoso")
    assert (status, err.count("\n"), "Nobody in this tenant" in err) == (2, 1, True)
