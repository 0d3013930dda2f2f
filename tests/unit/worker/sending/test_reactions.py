from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from tests.standins import CHANNEL, CONTOSO, Given, new_token
from worker.errors import TokenRefused, TokenUnavailable
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.gates import Held, HoldReason
from worker.ledger.model import Grant, Lane
from worker.ledger.why_waiting import Rest, Stop
from worker.sending.reactions import Reactions
from worker.services import Services

AWAY = Verdict(Kind.RETRY, "unavailable", "Graph is away.", retry_after_s=7.0)
BUCKETS = CHANNEL.operation.buckets(Given().settings(), CONTOSO)


def reactions_of(given: Given) -> Reactions:
    """Return reactions over given services."""
    return Reactions(cast(Services, given))


async def test_a_refused_credential_holds_the_connection() -> None:
    """Its rows wait for the gate, whose first try has a time of its own."""
    given = Given(token=TokenRefused("Expired.", fingerprint="f"))
    assert await reactions_of(given).take_token(CONTOSO) == Stop(Rest.SIGN_IN, 1.0)
    assert given.asked == [("hold", "contoso", HoldReason.CREDENTIAL, None)]


async def test_where_another_credential_works_this_worker_stands_back(caplog: pytest.LogCaptureFixture) -> None:
    """For long enough that others take the chunk; it is said once."""
    given = Given(token=TokenRefused("Expired.", fingerprint="f"), held=Held.OTHER_WORKS)
    reactions = reactions_of(given)
    assert [await reactions.take_token(CONTOSO) for _ in range(3)] == [Stop(Rest.SIGN_IN, 3.0)] * 3
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_sign_in_that_is_away_holds_nobody() -> None:
    """The connection is left alone for as long as the service says, and its trouble is told."""
    given = Given(token=TokenUnavailable("Entra is away.", retry_after_s=9.0))
    assert await reactions_of(given).take_token(CONTOSO) == Stop(Rest.SIGN_IN, 9.0)
    assert given.asked == [("note_trouble", "contoso")]


@pytest.mark.parametrize(
    ("hold", "age_s", "stop", "asked"),
    [
        (HoldKind.PERMISSION, 60.0, Stop(Rest.GATE, 0.5), [("invalidate",)]),
        (
            HoldKind.PERMISSION,
            0.0,
            Stop(Rest.GATE, 1.0),
            [("invalidate",), ("hold", "contoso", HoldReason.PERMISSION, None)],
        ),
        (HoldKind.TENANT, 60.0, Stop(Rest.GATE, 1.0), [("hold", "contoso", HoldReason.TENANT, None)]),
        (
            HoldKind.ABUSE,
            0.0,
            Stop(Rest.GATE, 1.0),
            [("block_tenant", CONTOSO.tenant_key), ("hold", "contoso", HoldReason.ABUSE, None)],
        ),
    ],
)
async def test_what_graph_says_of_the_connection_holds_it(
    hold: HoldKind, age_s: float, stop: Stop, asked: list[tuple[Any, ...]]
) -> None:
    """An old token may not know of a new permission, so it is tried with another first; an abuse
    block is the whole tenant's.
    """
    given = Given()
    verdict = Verdict(Kind.HOLD, "x", "No.", hold=hold)
    assert await reactions_of(given).hold(CHANNEL, verdict, new_token(age_s)) == stop
    assert given.asked == asked


@pytest.mark.parametrize(
    ("scope", "closed"),
    [
        ("Tenant/Write/a/b", {"invitations", "writes-tenant"}),
        ("Tenant_Application/Write/a/b", {"writes", "units"}),
    ],
)
async def test_a_429_closes_what_its_scope_names(scope: str, closed: set[str]) -> None:
    """For the time that it says."""
    given = Given()
    verdict = Verdict(Kind.THROTTLED, "x", "Slower.", retry_after_s=12.0, throttle_scope=scope)
    assert await reactions_of(given).throttled("contoso", BUCKETS, verdict) == Stop(Rest.THROTTLED, 12.0)
    ((_, name, kinds),) = given.asked
    assert (name, set(kinds)) == ("contoso", closed)


async def test_trouble_is_forgotten_by_what_ends_it() -> None:
    """A look-up that works says nothing of a Graph that is away for writes; a write that works ends
    its trouble, once.
    """
    given = Given()
    reactions = reactions_of(given)
    assert await reactions.away("contoso", AWAY) == Stop(Rest.AWAY, 7.0)
    await reactions.looked("contoso")
    assert given.names() == ["note_trouble"]
    await reactions.worked("contoso")
    await reactions.worked("contoso")
    assert given.names() == ["note_trouble", "forget_trouble"]


@pytest.mark.parametrize(
    ("grant", "lane", "stop", "asked"),
    [
        (Grant(why=Rest.QUOTA, wait_s=0.01, jobs=1), Lane.BULK, None, []),
        (Grant(why=Rest.QUOTA, wait_s=5.0, jobs=1), Lane.BULK, Stop(Rest.QUOTA, 5.0), []),
        (Grant(why=Rest.QUOTA, wait_s=0.01, jobs=2), Lane.BULK, Stop(Rest.QUOTA, 0.01), []),
        (Grant(why=Rest.QUOTA, wait_s=0.01, jobs=1), Lane.NOW, Stop(Rest.QUOTA, 0.01), []),
        (Grant(why=Rest.PROBATION, wait_s=0.1), Lane.BULK, Stop(Rest.PROBATION, 0.1), []),
        (
            Grant(why=Rest.DAILY_LIMIT, wait_s=7200.0),
            Lane.BULK,
            Stop(Rest.DAILY_LIMIT, 7200.0),
            [("hold", "contoso", HoldReason.DAILY_LIMIT, 60.0)],
        ),
        (Grant(why=Rest.TENANT), Lane.BULK, Stop(Rest.TENANT), [("hold", "contoso", HoldReason.ABUSE, None)]),
        (Grant(why=Rest.PAUSED), Lane.BULK, Stop(Rest.PAUSED), []),
    ],
)
async def test_a_batch_that_may_not_begin_stops_for_its_reason(
    grant: Grant, lane: Lane, stop: Stop | None, asked: list[tuple[Any, ...]]
) -> None:
    """Only a list that is alone on its connection waits in its seat, and only for a moment."""
    given = Given()
    reactions = reactions_of(given)
    reactions.seat_wait.seats = 4
    assert await reactions.refused_to_begin(CHANNEL, grant, lane) == stop
    assert given.asked == asked
