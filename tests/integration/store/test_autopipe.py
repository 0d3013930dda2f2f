"""Calls that leave together, on a real server: each caller has its own answer, whatever becomes of
the others.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions

from tests.ledgers import Desk
from tests.servers import start_valkey, stop_valkey
from worker.ledger.scripts import Scripts
from worker.store.autopipe import AutoPipeline, pipeline_of
from worker.store.client import open_client


async def test_calls_of_one_moment_share_a_connection_and_a_way(desk: Desk) -> None:
    """A hundred at once: the server sees one client, and each caller its own answer."""
    pipeline = AutoPipeline(desk.client)
    name = desk.keys.prefix
    names = await asyncio.gather(*(pipeline.call("CLIENT", "ID") for _ in range(100)))
    assert len(set(names)) == 1
    assert await asyncio.gather(*(pipeline.call("INCR", name) for _ in range(5))) == [1, 2, 3, 4, 5]


async def test_whoever_asks_by_one_client_shares_its_way(desk: Desk) -> None:
    """Twenty who know nothing of each other: the server sees one client."""
    found = await asyncio.gather(*(pipeline_of(desk.client).call("CLIENT", "ID") for _ in range(20)))
    assert len(set(found)) == 1


async def test_several_commands_of_one_caller_are_answered_in_their_order(desk: Desk) -> None:
    """An error among them is raised; the next caller's answers are its own."""
    pipeline, name = pipeline_of(desk.client), desk.keys.prefix
    assert await pipeline.calls(("ECHO", "a"), ("INCR", name), ("GET", name)) == [b"a", 1, b"1"]
    with pytest.raises(redis.exceptions.NoScriptError):
        await pipeline.calls(("ECHO", "a"), ("EVALSHA", "0" * 40, 0), ("ECHO", "b"))
    assert await pipeline.calls(("ECHO", "c")) == [b"c"]


async def test_what_comes_meanwhile_leaves_with_the_next_one(desk: Desk) -> None:
    """While the server is at something long, those who come wait together, and none is
    forgotten.
    """
    pipeline = AutoPipeline(desk.client)
    name = f"{desk.keys.prefix}:never"
    long = asyncio.create_task(pipeline.call("BLPOP", name, "0.2"))
    await asyncio.sleep(0.02)
    later = [asyncio.create_task(pipeline.call("ECHO", n)) for n in range(3)]
    await asyncio.sleep(0.02)
    assert not any(call.done() for call in later)
    assert await long is None
    assert await asyncio.gather(*later) == [b"0", b"1", b"2"]


async def test_an_error_is_its_callers_alone(desk: Desk) -> None:
    """One of three calls names no script."""
    pipeline = AutoPipeline(desk.client)
    found = await asyncio.gather(
        pipeline.call("ECHO", "a"),
        pipeline.call("EVALSHA", "0" * 40, 0),
        pipeline.call("ECHO", "b"),
        return_exceptions=True,
    )
    assert [found[0], found[2]] == [b"a", b"b"]
    assert isinstance(found[1], redis.exceptions.NoScriptError)


async def test_a_caller_that_is_cancelled_takes_nobody_with_it(desk: Desk) -> None:
    """Cancelled while its call is on its way: the others have their answers, and the next call
    goes.
    """
    pipeline = AutoPipeline(desk.client)
    long = asyncio.create_task(pipeline.call("BLPOP", f"{desk.keys.prefix}:never", "0.1"))
    other = asyncio.create_task(pipeline.call("ECHO", "a"))
    await asyncio.sleep(0.02)
    long.cancel()
    assert await other == b"a"
    assert await pipeline.call("ECHO", "b") == b"b"
    assert long.cancelled()


async def test_a_server_that_lost_its_scripts_is_given_them_again(desk: Desk) -> None:
    """By each of those that call at the same moment."""
    scripts = Scripts(desk.client)

    async def call() -> Any:
        return await scripts["works"](keys=[f"{desk.keys.prefix}:none"])

    await call()
    await desk.client.script_flush()
    await asyncio.gather(*(call() for _ in range(5)))


async def test_an_outage_is_everybodys_and_ends(folder: Path) -> None:
    """No caller waits for ever, and none is answered by another's; once the server is back the
    calls go on.
    """
    server, url = start_valkey(folder)
    client = open_client(url, tries=1)
    pipeline = AutoPipeline(client)
    assert await pipeline.call("ECHO", "a") == b"a"
    stop_valkey(server)
    found = await asyncio.gather(*(pipeline.call("ECHO", n) for n in range(3)), return_exceptions=True)
    assert all(isinstance(one, redis.exceptions.ConnectionError) for one in found), found
    server, _ = start_valkey(folder)
    assert await asyncio.gather(*(pipeline.call("ECHO", n) for n in range(3))) == [b"0", b"1", b"2"]
    await client.aclose()
    stop_valkey(server)
