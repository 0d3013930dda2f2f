from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from tests.ledgers import new_key_text
from tests.servers import start_valkey, stop_valkey
from tests.signins import Entra, source
from worker.ledger.keys import Keys
from worker.signin.token_cache import TokenShelf
from worker.signin.tokens import LOOK_AT_SHELF_S, TokenSource
from worker.store.seal import Sealer


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """Run a server for this module's tests; a pytest path would be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="u-") as folder:
        process, url = start_valkey(Path(folder))
        try:
            yield url
        finally:
            stop_valkey(process)


@pytest.fixture
async def client(valkey: str) -> AsyncIterator[redis.asyncio.Redis]:
    """Return a client of an empty server of our own."""
    opened = redis.asyncio.Redis.from_url(valkey)
    await opened.flushall()
    yield opened
    await opened.aclose()


KEY = new_key_text()


def shelf_of(client: redis.asyncio.Redis, key: str = KEY) -> TokenShelf:
    """Return a process's shelf."""
    return TokenShelf(client, Keys(), lambda: Sealer([key]))


async def test_processes_ask_once(entra: Entra, client: redis.asyncio.Redis) -> None:
    """Ten cold processes, one question; what lies in Redis is sealed and ends with the token."""
    entra.delay_s = 0.2
    sources = [TokenSource(shelf_of(client)) for _ in range(10)]
    got = await asyncio.gather(*(s.get(entra.target) for s in sources))
    for opened in sources:
        await opened.close()
    assert len(entra.asked) == 1
    assert len({t.secret.reveal() for t in got}) == 1
    assert {t.fingerprint for t in got} == {got[0].fingerprint}
    stored = await client.get(Keys().token(entra.target.client_key))
    assert stored is not None
    assert got[0].secret.reveal().encode() not in base64.b64decode(stored)
    assert 3500 < await client.ttl(Keys().token(entra.target.client_key)) <= 3600
    assert not await client.exists(Keys().token_lock(entra.target.client_key))


async def test_token_of_a_credential_that_is_gone_is_not_taken(
    entra: Entra, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    """After a rotation nobody goes on with what the old secret bought."""
    async with source(shelf_of(client)) as one:
        first = await one.get(entra.target)
    (tmp_path / "secret").write_text("new")
    async with source(shelf_of(client)) as other:
        assert (await other.get(entra.target)).fingerprint != first.fingerprint
    assert len(entra.asked) == 2


async def test_renewal_is_shared_too(entra: Entra, client: redis.asyncio.Redis) -> None:
    """When the token nears its end, one process renews it for all."""
    now = [time.time()]
    async with source(shelf_of(client), now=lambda: now[0]) as one, source(shelf_of(client), now=lambda: now[0]) as two:
        first = await one.get(entra.target)
        assert (await two.get(entra.target)).secret == first.secret
        now[0] += 3400
        for _ in range(300):
            newer = [await one.get(entra.target), await two.get(entra.target)]
            if all(token.secret != first.secret for token in newer):
                break
            await asyncio.sleep(0.01)
        assert newer[0].secret == newer[1].secret != first.secret
    assert len(entra.asked) == 2


async def test_a_newer_token_on_the_shelf_is_taken_up(entra: Entra, client: redis.asyncio.Redis) -> None:
    """Somebody has checked the connection, perhaps since roles were granted: who has a good token
    of before takes the new one, too.
    """
    now = [time.time()]
    async with source(shelf_of(client), now=lambda: now[0]) as one, source(shelf_of(client), now=lambda: now[0]) as two:
        first = await one.get(entra.target)
        now[0] += 2
        newer = await two.get(entra.target, fresh=True)
        assert await one.get(entra.target) is first
        now[0] += LOOK_AT_SHELF_S
        found = await asyncio.gather(*(one.get(entra.target) for _ in range(5)))
        assert {token.secret.reveal() for token in found} == {newer.secret.reveal()} != {first.secret.reveal()}
    assert len(entra.asked) == 2


async def test_what_another_credential_bought_is_not_taken_up(
    entra: Entra, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    """Nor one that Graph refused."""
    now = [time.time()]
    async with source(shelf_of(client), now=lambda: now[0]) as one, source(shelf_of(client), now=lambda: now[0]) as two:
        first = await one.get(entra.target)
        now[0] += 2
        (tmp_path / "secret").write_text("new")
        assert (await two.get(entra.target, fresh=True)).fingerprint != first.fingerprint
        now[0] += LOOK_AT_SHELF_S
        assert await one.get(entra.target) is first


async def test_refused_token_leaves_the_shelf(entra: Entra, client: redis.asyncio.Redis) -> None:
    """A token that Graph refused is nobody's any more; a newer one stays."""
    async with source(shelf_of(client)) as one, source(shelf_of(client)) as two:
        first = await one.get(entra.target)
        await two.get(entra.target)
        await one.invalidate(entra.target, first)
        second = await one.get(entra.target)
        await two.invalidate(entra.target, first)
        assert (await two.get(entra.target)).secret == second.secret
    assert len(entra.asked) == 2


async def test_dead_asker_is_not_waited_for_long(entra: Entra, client: redis.asyncio.Redis) -> None:
    """The lock of a killed process runs out, and the next one asks."""
    await client.set(Keys().token_lock(entra.target.client_key), "killed", px=300)
    async with source(shelf_of(client)) as tokens:
        started = time.monotonic()
        await tokens.get(entra.target)
        assert time.monotonic() - started >= 0.2
    assert len(entra.asked) == 1


async def test_other_key_and_rubbish_on_the_shelf_are_passed_over(entra: Entra, client: redis.asyncio.Redis) -> None:
    """What cannot be opened is asked for anew."""
    async with source(shelf_of(client)) as tokens:
        await tokens.get(entra.target)
    async with source(shelf_of(client, new_key_text())) as tokens:
        await tokens.get(entra.target)
    await client.set(Keys().token(entra.target.client_key), b"\xff rubbish")
    async with source(shelf_of(client)) as tokens:
        await tokens.get(entra.target)
    assert len(entra.asked) == 3


async def test_redis_away_means_asking_ourselves(entra: Entra) -> None:
    """The shelf is a convenience: without Redis there are tokens all the same."""
    dead = redis.asyncio.Redis.from_url("unix:///no/such.sock")
    async with source(shelf_of(dead)) as tokens:
        token = await tokens.get(entra.target)
        await tokens.invalidate(entra.target, token)
        await tokens.get(entra.target, fresh=True)
    await dead.aclose()
    assert len(entra.asked) == 2


async def test_client_that_decodes_will_do(entra: Entra, valkey: str) -> None:
    """What is stored is text: the shelf works with either kind of client."""
    decoding = redis.asyncio.Redis.from_url(valkey, decode_responses=True)
    await decoding.flushall()
    async with source(shelf_of(decoding)) as one, source(shelf_of(decoding)) as two:
        first = await one.get(entra.target)
        assert (await two.get(entra.target)).secret == first.secret
        await one.invalidate(entra.target, first)
        assert not await decoding.exists(Keys().token(entra.target.client_key))
    await decoding.aclose()
