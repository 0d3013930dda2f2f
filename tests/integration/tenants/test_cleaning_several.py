"""Several tenants are cleaned up by one command, each by its own settings, and all of it is taken
back by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.tenants.test_several import results_of
from tests.integration.tenants.three import MISSING, NAMES, add, found, people, run, run_three
from tests.ushers import Usher

CLEAN = '[connections.{}.clean]\ndisable_pending_after = "30d"\nmost_disabled = {}\n'


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """Two tenants with a policy, one of them with a ceiling of two guests; one without."""
    policies = {name: CLEAN.format(name, most) for name, most in (("adatum", 100), ("bellows", 2))}
    with run_three(folder, policies) as usher:
        yield usher


def add_old(usher: Usher, *names: str, count: int = 1) -> list[str]:
    """Put guests into tenants who were invited too long ago."""
    created = f"{datetime.now(UTC) - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"
    return add(
        usher, *names, emails=people(count), state="PendingAcceptance", created_at=created, state_changed_at=created
    )


def test_each_tenant_is_cleaned_by_its_own_settings(usher: Usher) -> None:
    """Nothing without --yes; a tenant without a policy and one that cannot be asked are sentences;
    what one command did one command takes back.
    """
    [email] = add_old(usher, "adatum", "bellows", "cronus")
    chosen = f"adatum,bellows,cronus,{MISSING}"
    dry = usher.run("guests", "clean", "-c", chosen, COLUMNS="200")
    assert dry.status == 1, dry.err
    for name in ("adatum", "bellows"):
        assert re.search(rf"^{name} +1 +disable +{email}", dry.out, re.MULTILINE), dry.out
    assert re.search(r"^! cronus: .*do not say what is to be done", dry.err, re.MULTILINE), dry.err
    assert "into its line of tenants.csv, in columns such as" in dry.err
    assert f"! {MISSING}: " in dry.err
    assert "only with --yes" in dry.err
    assert run(usher, "guests", "clean", "-c", "all", "--dry-run")[1]["cancelled"] == 2
    assert not {name for name, one in found(usher, "--disabled") if one == email}
    status, told, said = run(usher, "guests", "clean", "-c", chosen, "--yes")
    assert (status, told["operation"], told["rows"], told["stages"]["disable"]["done"]) == (1, "clean", 2, 2), said
    assert [one["connection"] for one in told["unasked"]] == ["cronus", MISSING]
    assert [one["connection"] for one in told["plans"]] == ["adatum", "bellows"]
    assert {name for name, one in found(usher, "--disabled") if one == email} == {"adatum", "bellows"}
    assert {row["connection"] for row in results_of(usher, told["submission"])} == {"adatum", "bellows"}
    dry = usher.run("guests", "undo", told["submission"], COLUMNS="200")
    assert (dry.status, dry.out.count(f"enable   {email}")) == (0, 2), (dry.out, dry.err)
    status, undone, said = run(usher, "guests", "undo", told["submission"], "--yes")
    assert (status, undone["operation"], undone["done"], len(undone["jobs"])) == (0, "undo", 2, 2), said
    assert not {name for name, one in found(usher, "--disabled") if one == email}
    assert run(usher, "guests", "undo", undone["submission"], "--yes")[0] == 2


def test_a_ceiling_of_one_tenant_stops_no_other(usher: Usher) -> None:
    """Its name is told, and --most is of each tenant, too."""
    emails = add_old(usher, "adatum", "bellows", count=3)
    ask = ("guests", "clean", "-c", "adatum,bellows", "--yes")
    status, told, said = run(usher, *ask, "--most", "2")
    assert (status, told["submission"], told["ceilings"]) == (3, None, ["most", "most_disabled"]), said
    status, told, said = run(usher, *ask)
    assert (status, told["ceilings"]) == (3, ["most_disabled"]), said
    assert [job["connection"] for job in told["jobs"]] == ["adatum"]
    assert re.search(r"^! bellows: most_disabled", said, re.MULTILINE), said
    disabled = found(usher, "--disabled")
    assert {("adatum", email) for email in emails} <= disabled
    assert not {("bellows", email) for email in emails} & disabled


def test_a_schedule_cleans_each_tenant_by_its_own_settings(usher: Usher) -> None:
    """One run each: one without a policy has nothing to do, a ceiling of one stops no other."""
    [email] = add_old(usher, "adatum", "cronus")
    add_old(usher, "bellows", count=3)
    more = ("--cron", "0 2 * * *", "--spread", "2h", "--arg", "confirm=true")
    add_schedule = ("schedules", "add", "nightly", "--task", "clean_guests", *more)
    assert usher.run(*add_schedule, "-c", "tag:ue").err == "usher: No connection has the tag ue.\n"
    assert usher.run(*add_schedule, "-c", ",".join(NAMES)).status == 0
    status, told, said = run(usher, "schedules", "run", "nightly")
    assert (status, told["status"]) == (1, "attention"), said
    runs = {one["connection"]: one for one in told["runs"]}
    assert {name: one["status"] for name, one in runs.items()} == {
        "adatum": "ok",
        "bellows": "attention",
        "cronus": "ok",
    }
    assert runs["cronus"]["what"].endswith("do not say what is to be done to guests; nothing was done.")
    usher.run("jobs", "watch", *runs["adatum"]["jobs"])
    assert {name for name, one in found(usher, "--disabled") if one == email} == {"adatum"}
    out = usher.run("schedules", "list").out
    assert "3 connections: 2 ok, 1 needs attention\n  bellows: " in out
    assert usher.run("schedules", "remove", "nightly").status == 0
