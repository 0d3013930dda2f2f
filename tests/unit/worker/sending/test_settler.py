from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

import pytest

from tests.standins import CONTOSO, NOW_MS, Given, NoLeases, new_lease
from worker.channels import name_channel
from worker.directory.lookups import Delay, Found, LookUps, WhyNot
from worker.errors import SealBroken, SealError, TokenUnavailable
from worker.graph.users import DirectoryUser
from worker.ledger.doubts import DoubtfulChunk, DoubtfulRow
from worker.ledger.model import IndexPlace, Lane, Options, RowState, Ticket
from worker.ledger.why_waiting import Rest, Stop
from worker.sending.leases import Leases
from worker.sending.settler import Settler
from worker.services import Services

EMAIL = "ann@partner.example"
TICKET = Ticket("-", 0, 1, "contoso", Lane.DOUBT)
LONG_AGO, JUST_NOW = NOW_MS - 100_000, NOW_MS - 10_000
LATER = Found(why_not=WhyNot.LATER, delay=Delay(Stop(Rest.LOOK_UP)))
NOBODY_MAY_LOOK = Found(why_not=WhyNot.MAY_NOT)
NOT_THERE = Found({})


def there(after_s: float) -> Found:
    """Return a guest who was created so long after an attempt of long ago."""
    created_at = datetime.fromtimestamp(LONG_AGO / 1000 + after_s, UTC)
    return Found({EMAIL: DirectoryUser("u", created_at, member=False, enabled=True)})


@dataclass
class InDoubt(Given):
    """Services with one row in doubt, and what the directory says of it."""

    found: Found = NOT_THERE
    attempted_at_ms: int = LONG_AGO
    first_at_ms: int | None = None  # of its first attempt; None: it is the only one
    away: Exception | None = None  # what the ledger raises
    options: Options = field(default_factory=Options)
    coming_back: bool = False  # a worker is that may know
    tenant: str = ""  # that the row's job was accepted for

    def __post_init__(self) -> None:
        super().__post_init__()
        self.doubts, self.leases, self.key_hold = _Doubts(self), deque([new_lease()]), self
        self.indexes: list[IndexPlace | None] = []
        self.clocks.learn_graph(CONTOSO.graph_url, datetime.fromtimestamp(NOW_MS / 1000, UTC))

    async def record_look_up(self, *given: Any) -> None:
        self.indexes.append(given[5])
        await super().record_look_up(*given)

    async def met(self, error: SealError) -> None:
        self.asked.append(("met", type(error)))

    async def find(self, connection: object, addresses: list[str], lane: Lane = Lane.BULK) -> Found:
        self.asked.append(("find", *addresses))
        return self.found


@dataclass
class _Doubts:
    given: InDoubt

    async def claim(self, channel: str, most: int) -> list[DoubtfulRow] | None:
        given = self.given
        if given.away:
            raise given.away
        first_ms = given.attempted_at_ms if given.first_at_ms is None else given.first_at_ms
        return None if given.coming_back else [DoubtfulRow("j", 0, 0, given.attempted_at_ms, first_ms)]

    async def rows_of(self, job: str, chunk: int) -> Any:
        given = self.given
        return DoubtfulChunk([{"email": EMAIL}], "1", 1, given.options, Lane.BULK, (), tenant=given.tenant)

    async def end_look_up(self, channel: str, wait_s: float = 0.0) -> None:
        self.given.asked.append(("end_look_up", wait_s))


async def settle(given: InDoubt, operation: str = "invite") -> dict[str, Any]:
    """Settle what is due of a channel."""
    settler = Settler(cast(Services, given), cast(Leases, NoLeases()), cast(LookUps, given))
    return await settler.run(replace(TICKET, connection=name_channel("contoso", operation)))


@pytest.mark.parametrize(
    ("found", "attempted_at_ms", "letter"),
    [
        (there(1), LONG_AGO, RowState.DONE),
        (there(-1000), LONG_AGO, RowState.ALREADY),
        (NOT_THERE, LONG_AGO, RowState.PENDING),
        (NOT_THERE, JUST_NOW, RowState.IN_DOUBT),
        (LATER, LONG_AGO, RowState.IN_DOUBT),
        (NOBODY_MAY_LOOK, JUST_NOW, RowState.IN_DOUBT),
        (NOBODY_MAY_LOOK, LONG_AGO, RowState.LEFT_IN_DOUBT),
    ],
    ids=["there since", "there before", "absent", "absent, early", "later", "unreadable, early", "unreadable"],
)
async def test_a_row_in_doubt_is_judged_by_what_the_directory_says(
    found: Found, attempted_at_ms: int, letter: RowState
) -> None:
    """And by when: absence counts, and nobody is asked, only once the answer had its time to be
    seen.
    """
    given = InDoubt(found=found, attempted_at_ms=attempted_at_ms)
    await settle(given)
    assert given.outcomes[0].letter is letter
    assert given.asked[0] == ("find", EMAIL)
    assert given.asked[1:] == [("end_look_up", 0.0), ("release", 0.0, 0.0)]


async def test_what_another_tenant_says_ends_no_row() -> None:
    """The connection stood for another one when the row was sent."""
    given = InDoubt(found=there(1), tenant="graph.microsoft.com/another")
    await settle(given)
    assert given.outcomes[0].letter is RowState.IN_DOUBT


@pytest.mark.parametrize(("found", "wait_s"), [(LATER, 10.0), (NOT_THERE, 50.0)])
async def test_who_cannot_be_judged_yet_is_looked_up_again_in_time(found: Found, wait_s: float) -> None:
    """Soon where nobody could tell; when it is settled where they are not there yet."""
    given = InDoubt(found=found, attempted_at_ms=JUST_NOW)
    await settle(given)
    assert given.outcomes[0].wait_s == pytest.approx(wait_s, abs=1)


@pytest.mark.parametrize(
    ("on_doubt", "letter"),
    [("resend", RowState.PENDING), ("silent", RowState.PENDING_SILENT), ("report", RowState.LEFT_IN_DOUBT)],
)
async def test_where_nobody_may_look_the_connection_decides(
    on_doubt: Literal["resend", "silent", "report"], letter: RowState
) -> None:
    """`on_doubt`."""
    connection = CONTOSO.model_copy(update={"on_doubt": on_doubt})
    given = InDoubt(found=NOBODY_MAY_LOOK, connections={"contoso": connection})
    await settle(given)
    assert given.outcomes[0].letter is letter


async def test_a_guest_of_before_who_was_mailed_again_on_purpose_stays_in_doubt() -> None:
    """That they are there says nothing of the second mail."""
    given = InDoubt(found=there(-1000), options=Options(resend=True))
    await settle(given)
    assert (given.outcomes[0].letter, given.outcomes[0].user_id) == (RowState.LEFT_IN_DOUBT, "u")


async def test_while_a_worker_that_may_know_comes_back_nobody_is_judged() -> None:
    """It is asked again in half a second."""
    given = InDoubt(coming_back=True)
    await settle(given)
    assert given.asked == [("end_look_up", 0.5), ("release", 0.0, 0.0)]


async def test_what_cannot_be_looked_up_now_is_due_again_at_the_offers_own_time() -> None:
    """Else it would be due at once, again and again."""

    class Away(InDoubt):
        async def resolved(self, name: str) -> Any:
            raise TokenUnavailable("Entra is away.")

    for given in (Away(), InDoubt(connections={})):
        await settle(given)
        assert given.asked == [("release", 0.0, 0.0)]


async def test_whoever_was_created_since_the_first_attempt_was_created_by_one() -> None:
    """Though the last one, which was refused, came later."""
    given = InDoubt(found=there(1), attempted_at_ms=JUST_NOW, first_at_ms=LONG_AGO)
    await settle(given)
    assert given.outcomes[0].letter is RowState.DONE


async def test_what_may_be_done_again_is_sent_again_and_nobody_is_asked() -> None:
    """And nothing is kept of it in the index of guests."""
    given = InDoubt(attempted_at_ms=JUST_NOW)
    assert await settle(given, "profile") == {"connection": "contoso+profile", "to_be_sent_again": 1}
    assert (given.names(), given.indexes) == (["end_look_up", "release"], [None])


@pytest.mark.parametrize(
    ("attempted_at_ms", "letter"), [(LONG_AGO, RowState.LEFT_IN_DOUBT), (JUST_NOW, RowState.IN_DOUBT)]
)
async def test_what_no_directory_shows_is_a_persons(attempted_at_ms: int, letter: RowState) -> None:
    """Nobody is asked; while whoever sent it may still be heard, that is waited for."""
    given = InDoubt(found=there(1), attempted_at_ms=attempted_at_ms)
    await settle(given, "mail")
    assert given.outcomes[0].letter is letter
    assert (given.names(), given.indexes) == (["end_look_up", "release"], [None])


async def test_the_index_of_guests_hears_of_an_invitation() -> None:
    """Of the row's own guest."""
    given = InDoubt()
    await settle(given)
    assert given.indexes == [IndexPlace(CONTOSO.tenant_key, {0: EMAIL.encode()})]


@pytest.mark.parametrize(
    ("away", "asked"),
    [(ConnectionError("Redis is away."), []), (SealBroken("Another key."), [("met", SealBroken)])],
    ids=["Redis", "key"],
)
async def test_a_ledger_that_cannot_be_read_is_no_failure(away: Exception, asked: list[Any]) -> None:
    """The rows are due again at the offer's own time."""
    given = InDoubt(away=away)
    assert await settle(given) == {"connection": "contoso"}
    assert given.asked == [*asked, ("release", 0.0, 0.0)]


async def test_a_void_offer_does_nothing() -> None:
    """Another process has it."""
    given = InDoubt()
    given.leases.clear()
    assert "not_run" in await settle(given)
    assert given.asked == []
