from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest

from config.connections import Connection
from tests.standins import CHANNEL, CONTOSO, Given, answered, grant, new_lease
from worker.directory.lookups import LookUps
from worker.graph.batch import Fate, GraphAnswer
from worker.ledger.model import Grant, KnownRow, Lease, Options, Outcome, RowState
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.invite import Invite
from worker.operations.invite_rules import INVITE, InviteCause
from worker.operations.operation import Ask, Asked, Channel
from worker.sending.chunk_run import ChunkRun
from worker.sending.reactions import Reactions
from worker.sending.refused_wholes import RefusedWholes
from worker.services import Services

INVITED = answered(201)
LOST = GraphAnswer(Fate.LOST)
THROTTLED = answered(429, "TooManyRequests", "Slower.", retry_after="12")
REFUSED_TOKEN = answered(401, "InvalidAuthenticationToken", "Expired.")


async def work(
    given: Given, lease: Lease | None = None, *, turns: Sequence[bool] = (), channel: Channel = CHANNEL
) -> tuple[Stop | None, dict[str, int]]:
    """Run a chunk over given services; returns why it stopped, and what became of its rows.
    `turns`: whether it may go on, then yes.
    """
    services, left, tally = cast(Services, given), deque(turns), Counter[str]()
    run = ChunkRun(
        services,
        lease or new_lease(),
        channel,
        reactions=Reactions(services),
        look_ups=cast(LookUps, given),
        refused=RefusedWholes(),
        tally=tally,
    )
    return await run.work(lambda: left.popleft() if left else True), dict(tally)


async def test_it_sends_until_nothing_is_left() -> None:
    """Batch after batch, each of what is pending then; good answers end past trouble and try
    nothing else.
    """
    given = Given(deque([grant(0), grant(1)]), deque([INVITED, INVITED]))
    assert await work(given) == (None, {"invited": 2})
    assert given.asked == [("begin_batch", (0, 1)), ("begin_batch", (1,))]


@pytest.mark.parametrize(
    ("answers", "stop", "asked", "tally"),
    [
        ([INVITED, THROTTLED], Stop(Rest.THROTTLED, 12.0), "throttled", {"invited": 1, "to_be_sent_again": 1}),
        (
            [
                INVITED,
                answered(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
            ],
            Stop(Rest.GATE, 1.0),
            "hold",
            {"invited": 1, "to_be_sent_again": 1},
        ),
        ([LOST, LOST], Stop(Rest.AWAY), "note_trouble", {"in_doubt": 2}),
        ([GraphAnswer(Fate.NOT_SENT), INVITED], Stop(Rest.AWAY), "note_trouble", {"invited": 1, "to_be_sent_again": 1}),
    ],
    ids=["throttled", "held", "all lost", "not sent"],
)
async def test_trouble_stops_the_chunk_after_its_rows_are_recorded(
    answers: list[GraphAnswer], stop: Stop, asked: str, tally: dict[str, int]
) -> None:
    """Each in its way; a batch without one answer is trouble with Graph."""
    given = Given(deque([grant(0, 1)]), deque(answers))
    found, words = await work(given)
    assert found
    assert (found.why, words) == (stop.why, tally)
    assert not stop.wait_s or found.wait_s == stop.wait_s
    assert asked in given.names()


class Guarded(Invite):
    """An operation that some guests are protected from."""

    rules = replace(INVITE, protected=InviteCause.ACCOUNT_DISABLED)


async def test_a_protected_guest_ends_alone() -> None:
    """Its 403 is not the application's, for another row of the batch got through; no row waits."""
    forbidden = answered(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    given = Given(deque([grant(0, 1)]), deque([forbidden, INVITED]))
    assert await work(given, channel=Channel(CONTOSO, Guarded())) == (None, {"failed": 1, "invited": 1})
    assert "hold" not in given.names()


class SoAlready(Invite):
    """An operation whose rows need no write."""

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End each."""
        return {row.index: Outcome(row.index, RowState.ALREADY) for row in rows}


async def test_rows_that_need_no_write_are_a_clean_batch_too() -> None:
    """Else a channel that finds all as it should be would work on one chunk at a time for ever."""
    given = Given()
    assert await work(given, channel=Channel(CONTOSO, SoAlready())) == (None, {"already_guest": 2})
    assert given.names() == ["passed_probation"]


async def test_one_lost_answer_among_good_ones_stops_nothing() -> None:
    """Its row is in doubt and no more this chunk's; the rest goes on."""
    given = Given(deque([grant(0, 1), grant(2)]), deque([LOST, INVITED, INVITED]))
    assert await work(given, new_lease(3)) == (None, {"in_doubt": 1, "invited": 2})


async def test_a_refused_token_is_replaced_once() -> None:
    """The second refusal in a row is the connection's trouble."""
    given = Given(deque([grant(0), grant(0), grant(1)]), deque([REFUSED_TOKEN, INVITED, INVITED]))
    assert await work(given) == (None, {"to_be_sent_again": 1, "invited": 2})
    assert given.names().count("invalidate") == 1
    given = Given(deque([grant(0), grant(0)]), deque([REFUSED_TOKEN, REFUSED_TOKEN]))
    found, _ = await work(given)
    assert found == Stop(Rest.GATE, 1.0)
    assert given.names().count("hold") == 1


async def test_rows_that_wait_for_another_job_put_the_chunk_off() -> None:
    """The others are sent; then only this chunk waits, its connection does not."""
    given = Given(deque([grant(0, blocked=(1,))]), deque([INVITED]))
    assert await work(given) == (Stop(Rest.GUEST, put_off_s=2.0), {"invited": 1})


async def test_rows_invited_lately_end_unsent() -> None:
    """Without a call to Graph."""
    given = Given(deque([Grant(known=(KnownRow(0, 1_799_999_000, "before"),)), grant(1)]), deque([INVITED]))
    assert await work(given) == (None, {"skipped": 1, "invited": 1})


async def test_a_domain_that_is_refused_is_not_tried_again() -> None:
    """Its other rows end with what Graph said of the first."""
    refused = answered(
        400, "BadRequest", "The domain of the email address is not allowed by the policy of this tenant."
    )
    given = Given(deque([grant(0)]), deque([refused]))
    lease = new_lease(3)
    stop, tally = await work(given, lease)
    assert (stop, lease.pending()) == (None, [])
    assert given.names().count("begin_batch") == 1
    assert sum(tally.values()) == 3


@pytest.mark.parametrize(
    ("lost", "gone", "turns", "why"),
    [(True, False, (), Rest.LEASE), (False, True, (), Rest.DELETED), (False, False, (True, False), Rest.LONG)],
)
async def test_a_chunk_that_is_not_ours_any_more_goes_no_further(
    lost: bool, gone: bool, turns: tuple[bool, ...], why: Rest
) -> None:
    """The lease was lost, the job deleted, or the run has lasted long enough: no batch is begun
    after that.
    """
    lease = new_lease()
    lease.lost = lost
    given = Given(deque([grant(0)]), deque([INVITED]), gone=gone)
    stop, _ = await work(given, lease, turns=turns)
    assert stop == Stop(why)
    assert given.names().count("begin_batch") == (0 if lost else 1)


@pytest.mark.parametrize(
    ("told", "other", "asked"),
    [
        (grant(0, 1, probation=True), [INVITED, LOST], "passed_probation"),
        (grant(0, 1, probe=True), [LOST, LOST], "reopen"),
        (grant(0, 1, tries_quota=True), [INVITED, LOST], "quota works"),
    ],
    ids=["probation", "held gate", "quota"],
)
async def test_a_batch_that_tries_something_tells_when_it_went_well(
    told: Grant, other: list[GraphAnswer], asked: str
) -> None:
    """And only then: a lost answer says nothing of a quota or a probation, one of two that was
    heard opens a gate.
    """
    given = Given(deque([told]), deque([INVITED, INVITED]))
    assert await work(given) == (None, {"invited": 2})
    assert asked in given.names()
    given = Given(deque([told]), deque(other))
    await work(given)
    assert asked not in given.names()
