"""The private server erases for good: what was forgotten, deleted or has expired leaves its
append-only file, too.

An append-only file holds every write until it is rewritten, which a server does by itself only once
the file has doubled, and is 64 MB. So whatever erases says so in the ledger, and on the private
server the next look rewrites the file. Elsewhere that is the operator's (docs/operations.md).
https://valkey.io/topics/persistence/
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from redis.exceptions import NoPermissionError, OutOfMemoryError, ResponseError

from worker.ledger.keys import Keys

log = logging.getLogger(__name__)

_LOOK_S = 0.05
_WAIT_S = 10.0  # for a command; what is larger is written on after it


async def note_erased(client: Any, keys: Keys) -> None:
    """Note that something was erased which the append-only file still holds."""
    # A full server must be able to get rid of things, and a reader to see that they went
    with suppress(OutOfMemoryError, NoPermissionError):
        await client.hincrby(keys.erased(), "n", 1)


async def rewrite(client: Any, keys: Keys) -> bool:
    """Begin to rewrite the file if it holds something erased. True once it does not; else call it
    again. Raises redis-py's outages.
    """
    wanted, begun, done = await client.hmget(keys.erased(), "n", "begun", "done")
    if wanted is None or wanted == done:
        return True
    info = await client.info()
    if info.get("aof_rewrite_in_progress") or info.get("aof_rewrite_scheduled"):
        return False
    now = b"%s:%s" % (wanted, str(info.get("run_id", "")).encode())  # one that a restart has cut short is begun again
    if begun == now and info.get("aof_last_bgrewrite_status") == "ok":
        await client.hset(keys.erased(), "done", wanted)
        return True
    try:
        await client.bgrewriteaof()
    except ResponseError as error:  # the server is at it, or saves
        log.debug("the append-only file is not rewritten yet: %s", error)
        return False
    await client.hset(keys.erased(), "begun", now)
    return False


async def rewrite_now(client: Any, keys: Keys) -> None:
    """Rewrite the file and wait until that is done, for some seconds at most."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _WAIT_S
    while not await rewrite(client, keys) and loop.time() < until_s:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(_LOOK_S)
