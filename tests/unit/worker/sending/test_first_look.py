"""What the first look makes of given answers of the directory, of the index of guests and of the
ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config.connections import Connection
from tests.standins import CONTOSO, NOW_MS, Given, new_lease
from worker.directory.lookups import Delay, Found, LookUps, Unshown, WhyNot
from worker.graph.users import DirectoryUser
from worker.ledger.gates import HoldReason
from worker.ledger.model import RESEND, IndexPlace, KnownRow, Lane, Lease, Options, RowState
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.accounts.base import Account
from worker.operations.accounts.binning import Delete
from worker.operations.accounts.enabling import Disable, Enable
from worker.operations.members.groups import Groups
from worker.operations.operation import Channel, Operation
from worker.operations.profile import Profile
from worker.operations.registry import OPERATIONS
from worker.sending.first_look import FirstLook, Looked
from worker.sending.reactions import Reactions
from worker.services import Services

ANN, BOB = "g0@partner.example", "g1@partner.example"
LOOKING = CONTOSO.model_copy(update={"precheck": True})
INDEX = IndexPlace("tenant", {0: b"0", 1: b"1"})
LATER = Delay(Stop(Rest.LOOK_UP))
NOBODY = Found(why_not=WhyNot.LATER, delay=LATER)
MAY_NOT = Found(why_not=WhyNot.MAY_NOT)


def user(created_ms: int = NOW_MS - 9_000_000, *, member: bool = False) -> DirectoryUser:
    """Return somebody who is in the tenant since then."""
    return DirectoryUser("u", datetime.fromtimestamp(created_ms / 1000, UTC), member=member, enabled=True)


@dataclass
class Directory(Given):
    """Services with what the directory, the index and the ledger say of a chunk's guests."""

    found: Found = field(default_factory=lambda: Found({}))
    known: list[KnownRow] = field(default_factory=list)
    first_ms: dict[int, int] = field(default_factory=dict)  # when rows left that were in doubt before

    def __post_init__(self) -> None:
        super().__post_init__()
        self.unshown = Unshown()
        self.doubts, self.heartbeat = self, SimpleNamespace(epoch="e2")
        self.clocks.learn_graph(CONTOSO.graph_url, datetime.fromtimestamp(NOW_MS / 1000, UTC))

    async def find(
        self,
        connection: Connection,
        guests: Sequence[str],
        lane: Lane = Lane.BULK,
        more: Sequence[str] = (),
        *,
        bin_too: bool = False,
    ) -> Found:
        self.asked.append(("find", *guests, *more))
        return self.found

    async def find_invited(self, index: IndexPlace, rows: Sequence[int]) -> list[KnownRow]:
        return self.known

    async def overrule(self, index: IndexPlace, rows: Sequence[KnownRow]) -> None:
        self.asked.append(("overrule", *(row.index for row in rows)))

    async def first_attempts(self, lease: Lease) -> dict[int, int]:
        return self.first_ms


async def look(
    given: Directory,
    lease: Lease | None = None,
    *,
    connection: Connection = LOOKING,
    operation: Operation = OPERATIONS["invite"],
    index: IndexPlace | None = None,
    reactions: Reactions | None = None,
) -> Looked:
    """Look a chunk of two guests up over given services."""
    services = cast(Services, given)
    first = FirstLook(
        services,
        lease or new_lease(),
        Channel(connection, operation),
        reactions=reactions or Reactions(services),
        look_ups=cast(LookUps, given),
    )
    return await first.look(index)


def letters(looked: Looked) -> dict[int, RowState]:
    """Return how rows end by a look."""
    return {outcome.index: outcome.letter for outcome in looked.outcomes}


def stage_lease(age_s: float, rows: int = 2) -> Lease:
    """Return items of a stage whose guests are in the tenant for so long."""
    lease = new_lease(rows)
    items = [row | {"user_id": f"id{n}", "since": NOW_MS - round(age_s * 1000)} for n, row in enumerate(lease.rows)]
    return replace(lease, ticket=replace(lease.ticket, job="j~profile"), rows=items)


# Whether anybody is asked


@pytest.mark.parametrize(
    ("connection", "change", "asked"),
    [
        (LOOKING, {}, True),
        (LOOKING, {"checked_at_ms": NOW_MS - 599_000}, False),
        (LOOKING, {"checked_at_ms": NOW_MS - 601_000}, True),
        (LOOKING, {"checked_at_ms": NOW_MS + 601_000}, True),
        (LOOKING, {"options": Options(resend=True)}, False),
        (LOOKING, {"letters": "ii"}, False),
        (CONTOSO, {}, False),
        (CONTOSO, {"suspect": True}, True),
    ],
    ids=["first", "fresh", "stale", "before the clock was put back", "resend", "over", "precheck off", "suspect"],
)
async def test_a_chunk_is_looked_up_where_that_is_wanted(
    connection: Connection, change: dict[str, Any], asked: bool
) -> None:
    """Once in ten minutes where precheck is on, and where rows may have left without the ledger's
    knowledge.
    """
    given = Directory()
    await look(given, replace(new_lease(), **change), connection=connection)
    assert given.asked == ([("find", ANN, BOB)] if asked else [])


async def test_a_row_that_is_mailed_on_purpose_is_not_looked_up() -> None:
    """The others of its chunk are."""
    given, lease = Directory(), new_lease()
    lease.rows[0][RESEND] = True
    await look(given, lease)
    assert given.asked == [("find", BOB)]


async def test_what_needs_an_id_is_looked_up_though_it_is_fresh() -> None:
    """By the id where an earlier step has told it, with the properties that the operation
    compares.
    """
    given = Directory(found=Found({"id0": user(), "id1": user()}))
    looked = await look(given, replace(stage_lease(60), checked_at_ms=NOW_MS), operation=Profile())
    assert given.asked[0] == ("find", "id0", "id1", *Profile.reads)
    assert (sorted(looked.users), looked.stop) == ([0, 1], None)


async def test_one_look_is_enough_for_all_stages_that_wait() -> None:
    """Whoever was not shown a moment ago is waited for unasked, by a call for several as a whole;
    the others of a chunk are asked for.
    """
    given = Directory(found=Found({"id1": user()}))
    await look(given, stage_lease(10, 1), operation=Profile())
    looked = await look(given, stage_lease(10, 2), operation=Profile())
    assert given.asked[-1] == ("find", "id1", *Profile.reads)
    assert (looked.aside, sorted(looked.users)) == ({0: Stop(Rest.DIRECTORY, 5.0)}, [1])
    given.asked.clear()
    looked = await look(given, stage_lease(10, 2), operation=Groups())
    assert (given.asked, looked.aside) == ([], dict.fromkeys(range(2), Stop(Rest.DIRECTORY, 5.0)))


async def test_rows_of_one_guest_are_one_question() -> None:
    """As in a stage whose items are a guest and a target."""
    lease = replace(new_lease(), rows=[{"email": ANN}, {"email": ANN.upper()}])
    given = Directory(found=Found({ANN: user()}))
    looked = await look(given, lease)
    assert given.asked == [("find", ANN)]
    assert letters(looked) == {0: RowState.ALREADY, 1: RowState.ALREADY}


# What the answers come to


async def test_who_is_there_ends_and_the_rest_may_go() -> None:
    """The next batch takes a note that the chunk was looked up, in the epoch of the question."""
    lease = new_lease()
    looked = await look(Directory(found=Found({ANN: user()})), lease)
    assert (letters(looked), looked.aside, looked.stop) == ({0: RowState.ALREADY}, {}, None)
    assert lease.checked_in == "e2"


async def test_while_nobody_can_tell_the_chunk_stops() -> None:
    """It is told in the operation's words, and no note is taken."""
    given, lease = Directory(found=NOBODY), new_lease()
    looked = await look(given, lease)
    assert looked.stop is not None
    assert looked.stop.why is Rest.LOOK_UP
    assert ("note_trouble", "contoso") in given.asked
    assert (looked.outcomes, lease.checked_in) == ([], None)


async def test_trouble_is_over_once_everybody_could_be_looked_up() -> None:
    """Whoever waits is not told of it any longer."""
    given = Directory(found=NOBODY)
    reactions = Reactions(cast(Services, given))
    await look(given, reactions=reactions)
    given.found = Found({})
    await look(given, reactions=reactions)
    assert given.asked[-1] == ("forget_trouble", "contoso")


async def test_where_the_app_may_not_look_graph_says_who_is_there() -> None:
    """If the operation can do without; else its channel is held for the permission."""
    assert await look(Directory(found=MAY_NOT)) == Looked()
    given = Directory(found=MAY_NOT)
    looked = await look(given, operation=Profile())
    assert looked.stop == Stop(Rest.GATE, 1.0)
    assert given.asked[1] == ("hold", "contoso+profile", HoldReason.PERMISSION, None)


async def test_of_whom_nobody_can_tell_the_row_is_set_aside() -> None:
    """The others are judged; the chunk is looked up again, so no note is taken."""
    given, lease = Directory(found=Found({ANN: user()}, None, {BOB: WhyNot.LATER}, LATER)), new_lease()
    looked = await look(given, lease)
    assert (letters(looked), sorted(looked.aside)) == ({0: RowState.ALREADY}, [1])
    assert lease.checked_in is None


async def test_an_address_that_graph_refuses_to_look_up_is_left_to_graph() -> None:
    """Neither judged nor set aside: its absence proves nothing, and asking again would not help."""
    looked = await look(Directory(found=Found({}, None, {BOB: WhyNot.MAY_NOT})))
    assert (looked.outcomes, looked.aside, looked.stop) == ([], {}, None)
    looked = await look(Directory(found=Found({}, None, {ANN: WhyNot.LATER, BOB: WhyNot.MAY_NOT}, LATER)))
    assert (looked.outcomes, sorted(looked.aside), looked.stop) == ([], [0], None)


async def test_an_own_member_is_no_guest() -> None:
    """The row fails before anything is sent."""
    looked = await look(Directory(found=Found({BOB: user(member=True)})))
    assert [(one.index, one.letter, one.code) for one in looked.outcomes] == [(1, RowState.FAILED, "own_member")]


@pytest.mark.parametrize(("created_ms", "letter"), [(0, RowState.DONE), (-60_000, RowState.ALREADY)])
async def test_a_row_that_was_in_doubt_before_is_judged_by_its_first_attempt(created_ms: int, letter: RowState) -> None:
    """Whoever was created since then was created by it."""
    first_ms = NOW_MS - 500_000
    given = Directory(found=Found({ANN: user(first_ms + created_ms)}), first_ms={0: first_ms})
    assert letters(await look(given)) == {0: letter}


# What the index of guests says


@pytest.mark.parametrize(
    ("found", "age_s", "ends", "overruled"),
    [
        (Found({ANN: user()}), 1_000, True, False),
        (Found({}), 10, True, False),
        (Found({}), 1_000, False, True),
        (Found({}, None, {ANN: WhyNot.MAY_NOT}), 1_000, False, False),
    ],
    ids=["there", "too new to be shown", "deleted since", "nobody can tell"],
)
async def test_who_was_invited_lately_ends_unless_deleted_since(
    found: Found, age_s: int, ends: bool, overruled: bool
) -> None:
    """The index forgets whom the directory does not show, once it would show them; of whom nobody
    can tell the batch asks the index.
    """
    given = Directory(found=found, known=[KnownRow(0, NOW_MS // 1000 - age_s, "other")])
    looked = await look(given, index=INDEX)
    assert letters(looked) == ({0: RowState.SKIPPED} if ends else {})
    assert (("overrule", 0) in given.asked) is overruled


async def test_without_an_index_nothing_is_remembered() -> None:
    """As of whatever may be done again."""
    given = Directory(found=Found({}), known=[KnownRow(0, NOW_MS // 1000 - 10, "other")])
    assert letters(await look(given)) == {}


# Stages


@pytest.mark.parametrize(
    ("age_s", "wait_s"), [(0, 2.0), (10, 5.0), (400, 30.0), (601, None)], ids=["new", "young", "old", "given up"]
)
async def test_a_guest_who_is_not_shown_yet_is_waited_for(age_s: float, wait_s: float | None) -> None:
    """For half the guest's age, and after ten minutes not any more."""
    looked = await look(Directory(found=Found({"id0": user()})), stage_lease(age_s), operation=Profile())
    if wait_s is None:
        assert [(one.index, one.code) for one in looked.outcomes] == [(1, "not_in_directory")]
    else:
        assert (looked.outcomes, looked.aside) == ([], {1: Stop(Rest.DIRECTORY, wait_s)})


async def test_an_item_whose_guest_nobody_can_look_up_is_neither_awaited_nor_ended() -> None:
    """That the directory does not show the guest says nothing then."""
    found = Found({"id0": user()}, None, {"id1": WhyNot.MAY_NOT})
    looked = await look(Directory(found=found), stage_lease(10), operation=Profile())
    assert (looked.outcomes, looked.aside) == ([], {})


@pytest.mark.parametrize(("age_s", "aside"), [(10, [0, 1]), (100, [1])], ids=["young", "old"])
async def test_a_call_for_several_waits_for_the_youngest(age_s: float, aside: list[int]) -> None:
    """For a minute; then those who are shown go without them."""
    looked = await look(Directory(found=Found({"id0": user()})), stage_lease(age_s), operation=Groups())
    assert sorted(looked.aside) == aside


@pytest.mark.parametrize("operation", [Disable(), Enable(), Delete()])
async def test_whoever_was_there_before_is_not_waited_for(operation: Account) -> None:
    """A stage of what is done to guests who are there: one who was deleted since the root looked is
    told at once, not after ten minutes.
    """
    found = replace(user(), more={"creationType": "Invitation"})
    looked = await look(Directory(found=Found({"id0": found})), stage_lease(1), operation=operation)
    assert ([(one.index, one.code) for one in looked.outcomes], looked.aside) == ([(1, "not_there")], {})


async def test_whom_microsoft_refuses_to_look_up_ends_where_some_must_be_spared() -> None:
    """Waiting would tell no more, and unlooked nothing is done; one of several questions about who
    was found may be refused.
    """
    guest = replace(user(), more={"creationType": "Invitation"})
    found = Found({"id0": guest}, None, {"id0": WhyNot.MAY_NOT, "id1": WhyNot.MAY_NOT})
    looked = await look(Directory(found=found), stage_lease(10), operation=Disable())
    assert [(one.index, one.code) for one in looked.outcomes] == [(1, "not_looked_up")]
