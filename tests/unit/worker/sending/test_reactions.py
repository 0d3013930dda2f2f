from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from tests.standins import CHANNEL, CONTOSO, Given, new_token
from worker.directory.lookups import Delay, Found, WhyNot
from worker.errors import TokenRefused, TokenUnavailable
from worker.graph.batch import GraphRequest
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.gates import Held, HoldReason
from worker.ledger.model import Grant, Lane
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import CannotAsk, Channel
from worker.operations.registry import OPERATIONS
from worker.sending.asking import DirectoryAsk
from worker.sending.reactions import Reactions
from worker.services import Services

PROFILE = Channel(CONTOSO, OPERATIONS["profile"])
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


async def test_whoever_needs_tokens_to_ask_lets_them_come_in() -> None:
    """Back at once, a chunk would spend them on looking its guests up anew, and never ask."""
    given = Given()

    async def take(*_: object) -> float:
        return 0.02

    given.take = take  # type: ignore[attr-defined]
    ask = DirectoryAsk(cast(Services, given), CONTOSO, reactions_of(given), "job")
    with pytest.raises(CannotAsk) as later:
        await ask.get([GraphRequest("0", "GET", "/users/x/sponsors")])
    assert later.value.stop == Stop(Rest.QUOTA, 1.0)


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


@pytest.mark.parametrize(
    ("hold", "held"),
    [(HoldKind.PERMISSION, "contoso+profile"), (HoldKind.TENANT, "contoso+profile"), (HoldKind.ABUSE, "contoso")],
)
async def test_what_is_the_channels_own_holds_it_alone(hold: HoldKind, held: str) -> None:
    """What stops the whole connection holds that."""
    given = Given()
    await reactions_of(given).hold(PROFILE, Verdict(Kind.HOLD, "x", "No.", hold=hold))
    assert [what[1] for what in given.asked if what[0] == "hold"] == [held]


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_429_is_told_once(is_new: bool, caplog: pytest.LogCaptureFixture) -> None:
    """One more of the same is not news."""

    class Told(Given):
        async def throttled(self, *_: Any, **__: Any) -> tuple[float, bool]:
            return 12.0, is_new

    await reactions_of(Told()).throttled("contoso", BUCKETS, Verdict(Kind.THROTTLED, "x", "Slower."))
    assert len(caplog.records) == is_new


@pytest.mark.parametrize("works", [True, False])
async def test_a_connection_that_works_again_is_told(works: bool, caplog: pytest.LogCaptureFixture) -> None:
    """If it was held."""

    class Tried(Given):
        async def reopen_after_try(self, name: str) -> bool:
            return works

    caplog.set_level(logging.INFO)
    await reactions_of(Tried()).answered_again("contoso")
    assert [record.getMessage() for record in caplog.records] == ["connection contoso works again"] * works


@pytest.mark.parametrize(
    ("channel", "found", "said"),
    [
        (
            CHANNEL,
            Found(why_not=WhyNot.LATER, delay=Delay(Stop(Rest.LOOK_UP))),
            (
                "Who is in the tenant already cannot be looked up now, and nobody is invited unlooked. usher"
                " tries again by itself."
            ),
        ),
        (
            PROFILE,
            Found(why_not=WhyNot.LATER, delay=Delay(Stop(Rest.LOOK_UP))),
            (
                "Who is in the tenant already cannot be looked up now, and nothing is done unlooked. usher"
                " tries again by itself."
            ),
        ),
        (
            CHANNEL,
            Found({}, delay=Delay(Stop(Rest.LOOK_UP), verdict=AWAY)),
            (
                "Of some rows nobody can tell now whether their guests are in the tenant already, so these rows"
                " wait. Graph is away."
            ),
        ),
        (
            CHANNEL,
            Found({}, delay=Delay(Stop(Rest.LOOK_UP), refused=True)),
            (
                "Of some rows nobody can tell now whether their guests are in the tenant already, so these rows wait."
                " Microsoft Graph refuses the access token that Entra has just given; usher tries again, and"
                " whoever runs it checks the connection's tenant id, its cloud and this machine's clock."
            ),
        ),
    ],
    ids=["nobody", "nobody, of a step", "some", "refused"],
)
async def test_rows_that_cannot_be_looked_up_wait_with_a_sentence(channel: Channel, found: Found, said: str) -> None:
    """In the words of their operation."""

    class Noted(Given):
        async def note_trouble(self, name: str, why: str, wait_s: float) -> None:
            self.asked.append((name, why))

    given = Noted()
    assert (await reactions_of(given).cannot_look(channel, found)).why is Rest.LOOK_UP
    assert given.asked == [(channel.name, said)]


async def test_of_a_quota_that_is_waited_for_whoever_waits_was_told() -> None:
    """It is no trouble with the directory."""
    given, stop = Given(), Stop(Rest.QUOTA, 3.0)
    assert await reactions_of(given).cannot_look(CHANNEL, Found({}, delay=Delay(stop))) == stop
    assert given.asked == []


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        (
            Grant(why=Rest.DAILY_LIMIT, wait_s=7200.0),
            (
                "The daily limit of 40 invitations is reached; the rest goes out after midnight UTC, unless"
                " whoever runs usher raises daily_limit of this connection."
            ),
        ),
        (
            Grant(why=Rest.TENANT),
            (
                "Microsoft has blocked invitations for this tenant, so nothing more is sent: an administrator opens a"
                " support case with Microsoft, and runs `usher connections reopen contoso` once it is lifted."
            ),
        ),
    ],
)
async def test_a_hold_says_what_happened_and_who_must_do_what(grant: Grant, said: str) -> None:
    """It is read by whoever waits."""

    class Kept(Given):
        async def hold(self, name: str, kind: Any, why: str, **more: Any) -> Held:
            self.asked.append((why,))
            return Held.NEWS

    given = Kept()
    channel = Channel(CONTOSO.model_copy(update={"daily_limit": 40}), CHANNEL.operation)
    await reactions_of(given).refused_to_begin(channel, grant, Lane.BULK)
    assert given.asked == [(said,)]
