from __future__ import annotations

from collections import deque
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisAway

from tests.standins import CONTOSO, Given, NoLeases, answered, grant, new_lease
from worker.directory.lookups import LookUps
from worker.ledger.model import Lane, Ticket
from worker.sending.leases import Leases
from worker.sending.reactions import Reactions
from worker.sending.runner import ChunkRunner
from worker.services import Services

TICKET = Ticket("j", 0, 1, "contoso", Lane.BULK)


def runner_of(given: Given, *, stopping: bool = False) -> ChunkRunner:
    """Return a runner over given services."""
    services = cast(Services, given)
    return ChunkRunner(services, cast(Leases, NoLeases()), Reactions(services), cast(LookUps, given), lambda: stopping)


def sending(rows: int = 1, **more: Any) -> Given:
    """Return services with one chunk, all of whose rows are granted at once and invited."""
    grants = deque([grant(*range(rows))])
    return Given(grants, deque([answered(201)] * rows), leases=deque([new_lease(rows)]), **more)


async def test_a_void_offer_does_nothing() -> None:
    """It came late, or twice: nothing is sent and nothing given back."""
    given = Given()
    assert "not_run" in await runner_of(given).run(TICKET)
    assert given.asked == []


async def test_a_chunk_is_given_back_at_once_when_it_is_over() -> None:
    """Flower hears how many of it became what."""
    given = sending(2)
    told = await runner_of(given).run(TICKET)
    assert told == {"job": "j", "chunk": 1, "connection": "contoso", "chunks": 1, "invited": 2}
    assert given.asked[-1] == ("release", 0.0, 0.0)


async def test_a_connection_that_this_worker_does_not_know_waits_for_one_that_does() -> None:
    """Nothing is sent."""
    given = sending(connections={})
    told = await runner_of(given).run(TICKET)
    assert told["rest"] == "waits for a worker that knows the connection, next try in 10.0 s"
    assert given.asked == [("release", 10.0, 0.0)]


@pytest.mark.parametrize("approved", [True, False])
async def test_what_needs_approval_is_sent_only_with_it(approved: bool) -> None:
    """Wherever the job was submitted, the worker asks again."""
    careful = CONTOSO.model_copy(update={"require_approval": True})
    given = sending(approved=approved, connections={"contoso": careful})
    told = await runner_of(given).run(TICKET)
    assert given.asked[0] == ("park", "j")
    assert (told.get("invited"), told.get("rest")) == ((1, None) if approved else (None, "waits for approval"))


async def test_a_worker_that_stops_leaves_the_rest_to_another() -> None:
    """Before the first batch as between two."""
    given = sending()
    told = await runner_of(given, stopping=True).run(TICKET)
    assert told["rest"] == "waits for another worker, this one stops"
    assert "begin_batch" not in given.names()


async def test_redis_away_is_no_failure_of_the_task() -> None:
    """The chunk is given back, to be offered again in a second."""

    class Away(Given):
        async def begin_batch(self, *_: Any, **__: Any) -> Any:
            raise RedisAway

    given = Away(leases=deque([new_lease()]))
    told = await runner_of(given).run(TICKET)
    assert told["rest"] == "waits for Redis"
    assert given.asked == [("release", 1.0, 0.0)]


async def test_what_nobody_thought_of_is_raised_and_the_chunk_put_off() -> None:
    """Else it would fail again at once, and again; other chunks of the connection go on."""

    class Broken(Given):
        async def begin_batch(self, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

    given = Broken(leases=deque([new_lease()]))
    with pytest.raises(ZeroDivisionError):
        await runner_of(given).run(TICKET)
    assert given.asked == [("release", 1.0, 60.0)]


async def test_a_seat_takes_the_next_chunks_of_its_job() -> None:
    """As long as each ends whole; the counts are summed, and what stops one is the seat's last."""
    given = Given(
        deque([grant(0), grant(0), grant(0)]),
        deque([answered(201), answered(201), answered(429, "TooManyRequests", "Slower.", retry_after="12")]),
        leases=deque([new_lease(1) for _ in range(4)]),
    )
    asked: list[str] = []

    async def next_of(job: str) -> Ticket | None:
        asked.append(job)
        return Ticket(job, len(asked), 1, "contoso", Lane.BULK)

    told = await runner_of(given).run(TICKET, next_of)
    assert (told["invited"], told["to_be_sent_again"], told["runs"], asked) == (2, 1, 3, ["j", "j"])
    assert told["rest"].startswith("waits because Microsoft throttles")


async def test_a_seat_without_a_next_chunk_is_free() -> None:
    """It is asked for once."""

    async def next_of(job: str) -> Ticket | None:
        return None

    told = await runner_of(sending()).run(TICKET, next_of)
    assert (told["invited"], "runs" in told) == (1, False)


async def test_a_job_that_was_accepted_for_another_tenant_is_held() -> None:
    """Nothing of it is sent to the one that its connection stands for now."""
    given = sending()
    given.leases[0].tenant = "graph.microsoft.com/another"
    told = await runner_of(given).run(TICKET)
    assert told["rest"] == "waits, as the connection stands for another tenant now"
    (name, job, connection, why), released = given.asked
    assert (name, job, connection, released[0]) == ("hold_job", "j", "contoso", "release")
    assert "usher jobs resume j" in why
