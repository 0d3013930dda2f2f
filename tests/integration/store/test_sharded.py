"""A Redis that shards behind one address and does not say so: a real server in cluster mode, its
INFO rewritten on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from tests.brokers import free_port
from tests.servers import start_valkey, stop_valkey
from tests.sites import OwnValkey
from worker.errors import LedgerUnsuitable
from worker.store.client import check_server, find_script_fault, open_client

SAYS, INSTEAD = (b"redis_mode:cluster", b"cluster_enabled:1"), (b"redis_mode:standal", b"cluster_enabled:0")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            for says, instead in zip(SAYS, INSTEAD, strict=True):
                data = data.replace(says, instead)
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def sharded_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of such a server."""
    folder, port = Path("/tmp") / f"us-{free_port()}", free_port()
    folder.mkdir(mode=0o700)
    process, url = start_valkey(
        folder, "--cluster-enabled", "yes", "--port", str(port), "--cluster-port", str(free_port())
    )
    server: Any = redis.asyncio.Redis.from_url(url)
    await server.execute_command("CLUSTER ADDSLOTSRANGE 0 16383")
    while (await server.execute_command("CLUSTER INFO"))["cluster_state"] != "ok":  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    await server.aclose()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(url.removeprefix("unix://"))
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))

    proxy = await asyncio.start_unix_server(serve, folder / "p.sock")
    yield f"unix://{folder}/p.sock"
    proxy.close()
    stop_valkey(process)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if not path.is_dir() else path.rmdir()
    folder.rmdir()


async def test_a_server_that_shards_behind_one_address_is_refused(sharded_url: str) -> None:
    """With a sentence at the start, instead of failing in the middle of the first job."""
    client = open_client(sharded_url)
    with pytest.raises(LedgerUnsuitable, match=r"shards behind one address.*Nothing was read or sent"):
        await check_server(client)
    await client.aclose()


async def test_a_server_whose_scripts_may_not_ask_for_info_is_refused(own_valkey: OwnValkey) -> None:
    """As that of Redis Software is documented to be; here a user of whom a server takes the right
    away.
    """
    server = open_client(own_valkey.url)
    await server.acl_setuser("u", enabled=True, nopass=True, categories=["+@all"], commands=["-info"], keys=["*"])
    await server.aclose()
    client: Any = open_client(own_valkey.url)
    await client.execute_command("AUTH", "u", "")
    fault = await find_script_fault(client, "usher")
    await client.aclose()
    assert fault is not None
    assert "lets no script ask" in fault
