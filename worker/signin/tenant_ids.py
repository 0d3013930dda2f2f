"""Connections name their tenant by id or by domain; everything in Redis goes by the id, which is
found out here.

Claims, memory, quota and blocks belong to a tenant, so one that two connections name differently
must be one. Whoever first needs a name's id asks Entra, without a sign-in (`tenant_discovery.py`),
and leaves the answer in the ledger; it is asked anew once a day, for a domain may move to another
tenant. Where Entra cannot be asked, nobody could sign in either, and the rows wait as for that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from config.values import is_guid, is_loopback
from worker.errors import TokenRefused, TokenUnavailable
from worker.ledger.keys import Keys
from worker.ledger.scripts import InLedger
from worker.signin.tenant_discovery import fetch_tenant_facts

if TYPE_CHECKING:
    from config.connections import Connection

log = logging.getLogger(__name__)

ASK_AGAIN_S = 86_400.0
_ASKING = 4  # at most at once, in threads of their own: the loop's are for DNS


class Tenants(InLedger):
    """What one process knows of the tenants that are named by a domain."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        super().__init__(client, keys)
        # Tenant key with the name → id, and when it was found out (epoch seconds)
        self._known: dict[str, tuple[str, float]] = {}
        self._one_by_one: dict[str, asyncio.Lock] = {}
        self._threads: ThreadPoolExecutor | None = None

    def named(self, connection: Connection) -> Connection:
        """Return a connection with its tenant's id for the name, where this process knows it."""
        known = self._known.get(connection.tenant_key)
        return connection.model_copy(update={"tenant_id": known[0]}) if known else connection

    def is_of(self, tenant_key: str, connection: Connection) -> bool:
        """Tell whether a key, by a tenant's id or by what named it then, is that of a connection's
        tenant; one that is not known ('') is everybody's.
        """
        mine = {_without_port(connection.tenant_key), _without_port(self.named(connection).tenant_key)}
        known = self._known.get(tenant_key)
        by_id = f"{tenant_key.rpartition('/')[0]}/{known[0]}".lower() if known else tenant_key
        return not tenant_key or _without_port(tenant_key) in mine or _without_port(by_id) in mine

    async def recall(self) -> None:
        """Learn what others have found out; nobody is asked. Raises redis-py's outages."""
        with suppress(NoPermissionError):  # a user that may only read jobs, by an older list of users: names stay names
            for name, value in (await self._client.hgetall(self._keys.tenant_ids())).items():
                self._known[name.decode()] = _parse(value)

    async def resolve(self, connection: Connection) -> Connection:
        """Return a connection with its tenant's id in place of the name.

        Where Entra knows no such tenant, it is returned as it is: signing in says that better.
        Raises `TokenUnavailable`, redis-py's outages.
        """
        if is_guid(connection.tenant_id):
            return connection
        name = connection.tenant_key
        if not self._is_fresh(name):
            async with self._one_by_one.setdefault(name, asyncio.Lock()):
                if not self._is_fresh(name):
                    await self._find_out(connection, name)
        return self.named(connection)

    def close(self) -> None:
        """Leave those that are being asked alone."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _is_fresh(self, name: str) -> bool:
        return name in self._known and abs(time.time() - self._known[name][1]) < ASK_AGAIN_S

    async def _find_out(self, connection: Connection, name: str) -> None:
        value = await self._client.hget(self._keys.tenant_ids(), name)
        if value is not None:
            self._known[name] = _parse(value)
            if self._is_fresh(name):
                return
        try:
            tenant_id = await self._ask(connection)
        except (TokenUnavailable, TokenRefused) as error:
            if name not in self._known and isinstance(error, TokenUnavailable):
                raise
            log.warning(
                "connection %s: which tenant %s is could not be found out: %s",
                connection.name,
                connection.tenant_id,
                error,
            )
            return
        now_s = time.time()
        id_key = connection.model_copy(update={"tenant_id": tenant_id}).tenant_key
        k = self._keys
        await self._scripts["adopt_tenant"](
            keys=[
                *(k.tenant_ids(), k.index_tenants(), k.index_names(), k.tenant(name), k.tenant(id_key)),
                *(k.held_as(name), k.held_as(id_key)),
            ],
            args=[name, id_key, f"{tenant_id} {now_s:.0f}"],
        )
        self._known[name] = (tenant_id, now_s)

    async def _ask(self, connection: Connection) -> str:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_ASKING, thread_name_prefix="usher-tenants")
        ask = partial(
            fetch_tenant_facts,
            connection.tenant_id,
            connection.login_host,
            ca_file=connection.ca_file,
            cloud=connection.cloud,
        )
        return (await asyncio.get_running_loop().run_in_executor(self._threads, ask)).tenant_id


def _without_port(tenant_key: str) -> str:
    """Return a tenant's key as it is, or without its port on loopback: a sandbox that is started
    again has the same tenants at another port.
    """
    realm, _, tenant_id = tenant_key.rpartition("/")
    host, colon, _ = realm.rpartition(":")
    return f"{host}/{tenant_id}" if colon and is_loopback(host) else tenant_key


def _parse(value: bytes) -> tuple[str, float]:
    tenant_id, _, at_s = value.decode().partition(" ")
    return tenant_id, float(at_s or 0)


def named_like(tenant_keys: Iterable[str], known: Mapping[bytes, bytes]) -> set[str]:
    """Return the other keys, by id and by domain, of some tenants' keys, as `known` (the ledger's
    `tenant_ids`) has them. Pure.
    """
    by_name = {name.decode(): f"{name.decode().rpartition('/')[0]}/{_parse(value)[0]}" for name, value in known.items()}
    wanted = {by_name.get(key, key) for key in tenant_keys}
    return wanted | {name for name, key in by_name.items() if key in wanted}
