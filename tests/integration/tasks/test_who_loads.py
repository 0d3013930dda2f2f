"""Who loads a job is known by when it was last heard of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tasks.jobs.loading import tell_who_loads
from tests.ledgers import Desk
from worker.ledger.model import Lane


async def test_a_silent_submitter_is_told_of_and_one_that_is_heard_is_not(desk: Desk) -> None:
    """Another machine's may wait for its answer: it is not called gone, and what to do is said."""
    services: Any = SimpleNamespace(jobs=desk.jobs)
    loading = await desk.jobs.create("aaaaaaaaaa", "contoso", Lane.BULK)
    assert loading is not None
    view = await desk.jobs.view("aaaaaaaaaa")
    assert view is not None
    assert (await tell_who_loads(services, view)).why == ""
    await desk.make_past(desk.jobs.keys.loading())
    told = (await tell_who_loads(services, view)).why
    assert "nothing was sent; its submitter was last heard of " in told
    assert "it waits for an answer, or has gone" in told
    assert "usher jobs cancel aaaaaaaaaa" in told
