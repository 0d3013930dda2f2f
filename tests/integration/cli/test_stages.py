"""What follows the invitation, as `usher invite` asks for it and tells of it: groups, teams,
sponsors, profiles.
"""

from __future__ import annotations

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
    assert told["groups"]["would"] == {"do": 2, "already": 0, "refuse": 1}
    assert told["profile"]["would"] == {"do": 1, "already": 0, "refuse": 0}
    headings, *rows = (line.split(",") for line in Path(output).read_text(encoding="utf-8").splitlines())
    assert headings[3:] == ["would", "why", "profile_would", "profile_why", "groups_would", "groups_why"]
    assert [row[7] for row in rows] == ["do", "do", "refuse"]
    again = place.usher("invite", output, "-c", "contoso", "--dry-run", "--json")
    assert again.json["plan"]["stages"] == told
    assert "Ignored" not in again.err


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
