"""A list that nobody has submitted yet lies sealed in Redis, for whoever sent it, for an hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.ledgers import new_key_text, open_desk
from worker.ledger.lists.uploads import KEPT_S, Uploads
from worker.store.seal import Sealer

LIST = b"email\nzoe@partner.example\n"


async def _blocks(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def test_a_list_is_read_again_by_whoever_sent_it_alone(valkey_url: str) -> None:
    """Nobody else finds it, whatever its id; nothing of it can be read in Redis; it expires."""
    sealer = Sealer([new_key_text()])
    async with open_desk(valkey_url) as desk:
        client: Any = desk.client
        uploads = Uploads(desk.client, desk.keys, lambda: sealer)
        kept = await uploads.put("ada", "guests.csv", _blocks(LIST, LIST))
        found = await uploads.find("ada", kept.id)
        assert found is not None
        assert (found.name, found.size, found.blocks) == ("guests.csv", 2 * len(LIST), 2)
        with await uploads.open(found) as file:
            assert file.read() == LIST * 2
        assert await uploads.find("bob", kept.id) is None
        assert await uploads.find("ada", f"{kept.id}:0") is None
        names = [desk.keys.upload(kept.id), *(desk.keys.upload_block(kept.id, n) for n in range(2))]
        for name in names:
            assert 0 < await client.ttl(name) <= KEPT_S
        assert b"partner" not in await client.get(names[1])
        await uploads.drop(found)
        assert await uploads.find("ada", kept.id) is None
        assert not await client.exists(*names)


async def test_a_list_that_is_cut_off_leaves_nothing(valkey_url: str) -> None:
    """A browser that goes away half-way is no list."""

    async def cut() -> AsyncIterator[bytes]:
        yield LIST
        raise asyncio.CancelledError

    async with open_desk(valkey_url) as desk:
        before = await desk.names()
        with pytest.raises(asyncio.CancelledError):
            await Uploads(desk.client, desk.keys).put("ada", "guests.csv", cut())
        assert await desk.names() == before


async def test_what_was_found_out_stays_with_the_list(valkey_url: str) -> None:
    """Another instance of the console shows how far a look has come; a list that has gone takes no
    note.
    """
    async with open_desk(valkey_url) as desk:
        uploads = Uploads(desk.client, desk.keys)
        kept = await uploads.put("ada", "guests.csv", _blocks(LIST))
        await uploads.note(kept.id, {"rows": 1})
        found = await uploads.find("ada", kept.id)
        assert found is not None
        assert found.looked == {"rows": 1}
        await uploads.drop(found)
        await uploads.note(kept.id, {"rows": 2})
        assert await uploads.find("ada", kept.id) is None
