"""A list is compared with guests: what differs is to be done, and nobody is taken away by a list
that is not certainly whole.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tasks.errors import InputError
from tasks.guests.sync.difference import Change, Kept, Kind, Named, Terms, build_join, build_leave, compare
from tasks.guests.sync.plan import SyncPlan, read_list
from tasks.guests.sync.source import name_source
from tasks.guests.sync.store import SyncStore
from tasks.guests.sync.told import sum_up, tell_change, tell_kept, tell_needs
from tasks.lists.guest_list import GuestList
from tasks.rows.row import ValidRow
from tests.configs import build_connection
from worker.graph.guests import Guest, GuestState

GROUPS = {"North": "id-n", "South": "id-s"}
NAMED = Named(GROUPS, {"ada@contoso.example": "id-ada"}, {one: name for name, one in GROUPS.items()})
ROW = {"email": "ann@partner.example", "company": "Partner", "groups": ["North"]}


def terms(adopt: bool = False) -> Terms:
    """Return what a list called crm is compared by."""
    return Terms(build_connection(), "crm", NAMED, adopt)


def guest(mark: str = "crm", *, enabled: bool = True, invited: bool = True, **more: Any) -> Guest:
    """Return a guest as a listing shows them."""
    attributes = {"extensionAttribute11": mark} if mark else {}
    return Guest(
        *("g1", "ann@partner.example", "ann", GuestState.ACCEPTED, None, None, enabled),
        invited=invited,
        attributes=attributes,
        more={"companyName": "Partner", **more},
    )


def judge(one: Guest, row: dict[str, Any], *groups: str, adopt: bool = False) -> Change | Kept:
    """Compare a guest with a row."""
    return compare(terms(adopt), one, 7, row, {GROUPS[name] for name in groups})


def test_what_is_so_is_left() -> None:
    """And only what differs is in the job's row."""
    assert judge(guest(), ROW, "North") is Kept.SAME
    moved = judge(guest(companyName="Other"), ROW, "North")
    assert isinstance(moved, Change)
    assert moved.row == {
        "email": "ann@partner.example",
        "user_id": "g1",
        "source": "crm",
        "send_message": False,
        "company": "Partner",
    }
    assert judge(guest(companyName="Other"), {"email": ROW["email"], "company": ""}, "North") is not Kept.SAME


def test_a_display_name_is_compared_with_that_of_the_listing() -> None:
    """It is none of the further properties: a listing reads it anyway."""
    assert judge(guest(), {**ROW, "display_name": "ann"}, "North") is Kept.SAME
    moved = judge(guest(), {**ROW, "display_name": "Ann B"}, "North")
    assert isinstance(moved, Change)
    assert (moved.row["display_name"], moved.said) == ("Ann B", ("display_name “ann” -> “Ann B”",))


def test_a_guest_leaves_only_what_the_list_manages() -> None:
    """A group that some row names and theirs does not; with an empty cell too."""
    moved = judge(guest(), {**ROW, "groups": ["South"]}, "North")
    assert isinstance(moved, Change)
    assert (moved.row["groups"], moved.row["leave_groups"], moved.lost) == (["South"], ["North"], ("North",))
    assert compare(terms(), guest(), 7, ROW, {"id-n", "id-elsewhere"}) is Kept.SAME
    none = judge(guest(), {"email": ROW["email"], "company": "Partner"}, "North", "South")
    assert isinstance(none, Change)
    assert none.row["leave_groups"] == ["North", "South"]


def test_a_name_that_stands_for_nothing_takes_nobody_out(store: SyncStore) -> None:
    """It may be meant for any of the groups; and where nobody can tell whom to spare, nobody who is
    there is changed.
    """
    assert judge(guest(), {**ROW, "groups": ["Nroth"]}, "North") is Kept.SAME
    moved = judge(guest(), {**ROW, "groups": ["Nroth", "South"]}, "North")
    assert isinstance(moved, Change)
    assert (moved.row["groups"], moved.lost) == (["South"], ())
    store.put_change(moved)
    fill(store, 1, 2)
    plan = SyncPlan(store, "crm", build_connection(), own=80, counts=store.counts(), guard="Nobody can tell.")
    assert {change.kind for change in plan.changes()} == {Kind.JOIN}
    assert "Nobody can tell." in tell_needs(plan)


@pytest.mark.parametrize(
    ("one", "adopt", "wanted"),
    [
        (guest("hr"), True, Kept.OTHERS),
        (guest("Project X"), True, Kept.OTHERS),
        (guest("hr left"), False, Kind.MOVE),
        (guest(""), False, Kept.UNMARKED),
        (guest(""), True, Kind.MOVE),
        (guest("", invited=False), True, Kept.UNMARKED),
        (guest("", enabled=False), True, Kept.DISABLED),
        (guest("crm", enabled=False), False, Kept.DISABLED),
        (guest("crm left", enabled=False), False, Kind.RETURN),
        (guest("hr left", enabled=False), False, Kind.RETURN),
        (guest("crm left"), False, Kind.MOVE),
        (guest("crm"), False, Kept.SAME),
    ],
)
def test_whose_guest_it_is_lies_in_the_tenant(one: Guest, adopt: bool, wanted: Kept | Kind) -> None:
    """Another list's is left alone until it has left that list, nobody's until --adopt; who left is
    told from whom a person has disabled.
    """
    found = judge(one, ROW, "North", adopt=adopt)
    assert (found.kind if isinstance(found, Change) else found) is wanted
    if isinstance(found, Change):
        assert found.row["source"] == "crm"
        assert found.row.get("then") == ("enable" if wanted is Kind.RETURN else None)


def test_who_may_not_lose_anything_keeps_all() -> None:
    """The rest of a change is done; one that only takes away is not."""
    leave = build_leave(guest(), "crm")
    assert leave.row["then"] == "disable"
    assert leave.without_losses() is None
    moved = judge(guest(), {**ROW, "groups": ["South"]}, "North")
    assert isinstance(moved, Change)
    rest = moved.without_losses()
    assert rest is not None
    assert "leave_groups" not in rest.row
    assert rest.row["groups"] == ["South"]
    only = judge(guest(), {"email": ROW["email"], "company": "Partner"}, "North")
    assert isinstance(only, Change)
    assert only.without_losses() is None
    join = build_join(1, ROW, "crm")
    assert join.without_losses() is join


@pytest.fixture
def store() -> Iterator[SyncStore]:
    """A store with nothing in it."""
    with SyncStore() as store:
        yield store


def fill(store: SyncStore, leave: int, join: int) -> None:
    """Put changes into a store."""
    for number in range(leave):
        store.put_change(build_leave(guest(), f"crm{number}"))
    for number in range(1, join + 1):
        store.put_change(build_join(number, ROW, "crm"))


@pytest.mark.parametrize(
    ("sync", "own", "ceilings", "left", "joined"),
    [
        ({}, 60, [], 3, 2),
        ({}, 59, ["most_left"], 0, 2),
        ({"most_left": 2}, 6000, ["most_left"], 0, 2),
        ({"most_left": "100%"}, 3, [], 3, 2),
        ({"most_left": 3, "most_joined": 1}, 60, ["most_joined"], 3, 0),
        ({"most_left": 3, "most_joined": "1%"}, 60, ["most_joined"], 3, 0),
        ({"most_left": 3, "most_joined": "1%"}, 0, [], 3, 2),  # the first run of a list
    ],
)
def test_one_ceiling_does_not_stop_the_others(
    store: SyncStore, sync: dict[str, Any], own: int, ceilings: list[str], left: int, joined: int
) -> None:
    """Beyond it nothing of its kind is done, and a sentence names the setting."""
    fill(store, 3, 2)
    plan = SyncPlan(store, "crm", build_connection(sync=sync), own=own, counts=store.counts())
    assert plan.ceilings == ceilings
    would = plan.describe()["would"]
    assert (would["leave"], would["join"]) == (left, joined)
    told = " ".join(tell_needs(plan))
    assert all(f"connections.c.sync.{name}" in told for name in ceilings)
    assert len(list(plan.rows())) == left + joined


def test_an_emptied_column_empties_no_group(store: SyncStore) -> None:
    """Beyond the ceiling nobody is taken out of one; who left the list is disabled all the same."""
    fill(store, 1, 0)
    for number in range(1, 5):
        change = judge(guest(), {**ROW, "groups": ["South"]} if number == 1 else {"email": ROW["email"]}, "North")
        assert isinstance(change, Change)
        store.put_change(replace(change, number=number))
    for own, done in ((80, (4, 4, 1)), (60, (1, 0, 1))):
        plan = SyncPlan(store, "crm", build_connection(), own=own, counts=store.counts(), losers=store.losers())
        rows = [row.row for row in plan.rows() if isinstance(row, ValidRow)]
        moved = [row for row in rows if row.get("then") != "disable"]
        assert (len(moved), sum("leave_groups" in row for row in moved), len(rows) - len(moved)) == done
        assert plan.ceilings == ([] if own == 80 else ["most_left"])
    assert "nobody is taken out of one" in " ".join(tell_needs(plan))


def test_whom_a_list_leaves_alone_is_told_and_asks_for_nobody(store: SyncStore) -> None:
    """It stays so night after night, unless somebody wants otherwise."""
    plan = SyncPlan(store, "crm", build_connection(), own=5)
    plan.kept.update({Kept.OTHERS: 1, Kept.UNMARKED: 2, Kept.DISABLED: 3, Kept.SAME: 9})
    told = tell_kept(plan)
    assert [next(n for n in ("1 guest", "2 guests", "3 guests") if n in one) for one in told] == [
        "1 guest",
        "2 guests",
        "3 guests",
    ]
    assert tell_needs(plan) == []


def test_a_plan_is_told_in_the_order_of_the_list(store: SyncStore) -> None:
    """Then who is not in it any more."""
    fill(store, 1, 2)
    plan = SyncPlan(store, "crm", build_connection(), own=100, counts=store.counts())
    assert [tell_change(change).split()[:3] for change in plan.changes()] == [
        ["+", "1", "ann@partner.example"],
        ["+", "2", "ann@partner.example"],
        ["-", "ann@partner.example", "not"],
    ]
    assert sum_up(plan) == "2 to invite, 1 to disable; 0 guests as the list says"


def read(store: SyncStore, text: str) -> GuestList:
    """Read a list into a store."""
    guests = GuestList(io.BytesIO(text.encode()), "crm.csv", path="crm.csv")
    read_list(store, guests)
    return guests


def test_a_guest_is_found_by_any_address(store: SyncStore) -> None:
    """The first row of the list counts, and none of theirs is new then."""
    read(store, "email\nb@partner.example\nA@Partner.Example\na@partner.example\nc@partner.example\n")
    assert (store.rows, store.repeated) == (3, 1)
    assert store.find(["", "a@partner.example", "b@partner.example"]) == (1, {"email": "b@partner.example"})
    assert [row["email"] for _, row in store.unmet()] == ["c@partner.example"]
    store.begin()
    assert len(list(store.unmet())) == 3


def test_a_list_that_names_no_column_of_addresses_is_not_believed(store: SyncStore) -> None:
    """It may be another list; and so is one without a single guest."""
    with pytest.raises(InputError, match="no heading that says"):
        read(store, "Kontakt,Ort\na@partner.example,Oslo\n")
    with SyncStore() as other, pytest.raises(InputError, match="none of its 1 row"):
        read(other, "email\nno address\n")


def test_what_another_run_has_done_does_not_count(store: SyncStore) -> None:
    """A results file that is fed back is a list like any other."""
    read(store, "email,groups,groups_status\na@partner.example,North,done\n")
    assert store.find(["a@partner.example"]) == (1, {"email": "a@partner.example", "groups": ["North"]})


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("crm.csv", "crm"),
        ("/data/CRM Partners.xlsx", "crm-partners"),
        ("a_b.2.jsonl", "a-b-2"),
    ],
)
def test_a_list_is_called_as_its_file_is(path: str, source: str) -> None:
    """In the letters that a name may have."""
    assert name_source(path) == source


@pytest.mark.parametrize("path", ["-", "東京.csv"])
def test_a_list_without_a_name_must_be_given_one(path: str) -> None:
    """Standard input is called nothing."""
    with pytest.raises(ValueError, match="is needed"):
        name_source(path)
