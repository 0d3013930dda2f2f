"""What follows the invitation, as `usher invite` asks for it and tells of it: groups, teams,
sponsors, profiles.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import Place, open_place

LIST = """email,groups,company
ann@fabrikam.example,Partners;Suppliers,Fabrikam
bob@fabrikam.example,Partners,
eva@fabrikam.example,No such group,
"""


@pytest.fixture
def poor_place() -> Iterator[Place]:
    """A stack whose connection may do nothing but invite and look."""
    with open_place("0.2", "--roles", "User.Invite.All,User.Read.All") as place:
        yield place


def test_the_plan_names_what_the_list_names(place: Place) -> None:
    """Each group with its guests; one that is not there is reported like a bad cell."""
    path = place.write("plan.csv", LIST)
    done = place.usher("invite", path, "-c", "contoso", "--dry-run", "--team", "Project Alpha")
    assert "Partners" in done.out, done.err
    for words in (
        "Then profile  1 guest",
        "Then groups   3 guests, 2 groups",
        "Partners: 2 guests",
        "Suppliers: 1 guest",
        "Then teams    3 guests",
        "Project Alpha: 3 guests",
    ):
        assert words in done.out, done.out
    assert "groups, 1 row: There is no group “No such group” in this tenant" in done.err
    told = place.usher("invite", path, "-c", "contoso", "--dry-run", "--json").json["plan"]["stages"]
    assert told["groups"]["names"] == {"Partners": 2, "Suppliers": 1}
    assert [*told["groups"]["refused"]] == ["No such group"]
    strict = place.usher("invite", path, "-c", "contoso", "--strict", "--json")
    assert (strict.status, "--strict was given, so nothing was sent" in strict.json["error"]) == (2, True)


def test_a_dry_run_says_what_would_become_of_each_stage(place: Place) -> None:
    """In the plan, in --json, and row by row in the list, which can be fed back."""
    path = place.write("would.csv", LIST)
    output = str(place.folder / "would-out.csv")
    done = place.usher("invite", path, "-c", "contoso", "--dry-run", "--json", "-o", output)
    told = done.json["plan"]["stages"]
    assert told["groups"]["would"] == {"do": 2, "already": 0, "skip": 0, "wait": 0, "refuse": 1}
    assert told["profile"]["would"] == {"do": 1, "already": 0, "skip": 0, "wait": 0, "refuse": 0}
    headings, *rows = (line.split(",") for line in Path(output).read_text(encoding="utf-8").splitlines())
    assert headings[3:] == ["would", "why", "profile_would", "profile_why", "groups_would", "groups_why"]
    assert [row[7] for row in rows] == ["do", "do", "refuse"]
    again = place.usher("invite", output, "-c", "contoso", "--dry-run", "--json")
    assert again.json["plan"]["stages"] == told
    assert "Ignored" not in again.err


def test_each_guest_of_a_stage_is_told_of(place: Place) -> None:
    """Who will not be invited is skipped; the numbers add up to the guests who ask."""
    path = place.write("skip.csv", "email,groups\nada@contoso.example,Partners\nok@skip.example,Partners\n")
    told = place.usher("invite", path, "-c", "contoso", "--dry-run", "--json").json["plan"]["stages"]["groups"]
    assert sum(told["would"].values()) == told["rows"]


def test_a_group_of_the_command_that_takes_nobody_ends_it(place: Place) -> None:
    """Unknown, twice there, dynamic, synced, or for roles: a sentence, status 2."""
    for name, words in (
        ("No such group", "There is no group “No such group”"),
        ("Namesake", "More than one group"),
        ("All Guests (dynamic)", "A rule decides"),
        ("Staff (synced)", "on-premises"),
        ("Helpdesk (roles)", "can be given directory roles"),
    ):
        done = place.usher("invite", "ann@fabrikam.example", "-c", "contoso", "--group", name, "--json")
        assert done.status == 2, done.out
        assert done.json["error"].startswith("--group: ")
        assert words in done.json["error"]


def test_a_right_that_is_missing_is_told_beforehand(poor_place: Place) -> None:
    """The permission by name, and that it may not be looked up what the names stand for."""
    done = poor_place.usher("invite", "ann@fabrikam.example", "-c", "contoso", "--group", "Partners", "--dry-run")
    assert "the stage groups would wait, and all else go on, until a tenant administrator grants" in done.err
    assert "The app may not look up groups by name or id: grant the application permission" in done.err


def test_the_whole_way_of_a_list(place: Place) -> None:
    """Stages are done and told; what failed is tried again, and only that: by `jobs retry`, and by
    the list with its outcomes.
    """
    path = place.write("way.csv", LIST.replace("@", ".way@"))
    done = place.usher("invite", path, "-c", "contoso", "--json", "--sponsor", "ada@contoso.example")
    assert done.status == 1, done.err
    stages = done.job["stages"]
    assert (stages["groups"]["done"], stages["groups"]["failed"], stages["groups"]["rows"]) == (2, 1, 3)
    assert (stages["profile"]["done"], stages["sponsors"]["done"]) == (1, 3)
    job = done.job["job"]
    shown = place.usher("jobs", "show", job).out
    assert "groups: There is no group “No such group”" in shown
    assert "sponsors a***@contoso.example" in shown
    assert "groups 3 of 3 (1 failed)" in place.usher("jobs", "list").out

    joined = str(place.folder / "way-joined.csv")
    assert place.usher("jobs", "results", job, "--join", path, "-o", joined).status == 0
    headings, *rows = csv.reader(Path(joined).read_text(encoding="utf-8").splitlines())
    assert headings[-6:] == [
        *("profile_status", "profile_error", "sponsors_status", "sponsors_error"),
        *("groups_status", "groups_error"),
    ]
    assert [row[headings.index("groups_status")] for row in rows] == ["done", "done", "failed"]
    only = place.usher("jobs", "results", job, "--only", "failed", "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["email"] for line in only] == ["eva.way@fabrikam.example"]

    again = place.usher("invite", joined, "-c", "contoso", "--json")
    assert again.status == 1
    assert {name: stage["rows"] for name, stage in again.job["stages"].items()} == {"groups": 1}
    retried = place.usher("jobs", "retry", job, "--json")
    assert retried.status == 1
    assert retried.job["rows"] == 1
    assert {name: stage["rows"] for name, stage in retried.job["stages"].items()} == {"groups": 1}
    assert (again.job["invited"], retried.job["invited"]) == (0, 0)


def test_the_plan_of_a_list_that_is_there_already_says_so(place: Place) -> None:
    """The nightly list: only the difference is to do, and the plan tells of it beforehand."""
    path = place.write("night.csv", "email,groups\n" + "".join(f"n{n}@night.example,Partners\n" for n in range(5)))
    assert place.usher("invite", path, "-c", "contoso", "--json").status == 0
    more = place.write("night.csv", Path(path).read_text(encoding="utf-8") + "new@night.example,Partners\n")
    plan = place.usher("invite", more, "-c", "contoso", "--dry-run", "--team", "Project Beta")
    assert "Then groups  6 guests: 1 to write, 5 so already" in plan.out
    assert "Then teams   6 guests: 6 to write" in plan.out
    done = place.usher("invite", more, "-c", "contoso", "--json", "--team", "Project Beta")
    assert done.status == 0
    assert (done.job["stages"]["groups"]["done"], done.job["stages"]["groups"]["already"]) == (1, 5)
    assert done.job["stages"]["teams"]["done"] == 6
