"""The way out to a connection's Graph: whom to trust, which proxy to take, as aiohttp wants it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from yarl import URL

from worker.net import tls

if TYPE_CHECKING:
    from config.connections import Connection

LOOK_AGAIN_S = 1.0
"""So soon is a changed file of trusted certificates seen."""


class WaysOut:
    """The ways of one client, kept for as long as they lead somewhere."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._contexts: dict[str | None, tuple[tuple[object, ...], Any]] = {}
        self._ways: dict[tuple[str, str | None], tuple[float, dict[str, Any]]] = {}

    def forget(self) -> None:
        """Look for every way anew when it is taken next."""
        self._ways.clear()

    async def find(self, connection: Connection) -> dict[str, Any]:
        """Return whom to trust and which proxy to take, as aiohttp wants it; looked for anew once a
        second, not for every batch.
        """
        place = (connection.graph_url, connection.ca_file)
        looked_s, way = self._ways.get(place, (-math.inf, {}))
        if self._clock() - looked_s >= LOOK_AGAIN_S:
            way = {"ssl": await self._trust(connection.ca_file), **_proxy_of(connection.graph_url)}
            self._ways[place] = (self._clock(), way)
        return way

    async def _trust(self, ca_file: str | None) -> Any:
        """Return the TLS context for a connection, built anew when a certificates' file changed."""
        stamp = tls.trust_stamp(ca_file)
        known = self._contexts.get(ca_file)
        if known is None or known[0] != stamp:
            known = (stamp, await asyncio.to_thread(tls.build_context, ca_file))
            self._contexts[ca_file] = known
        return known[1]


def _proxy_of(url: str) -> dict[str, Any]:
    proxy = tls.find_proxy(url)
    if proxy is None:
        return {}
    address = URL(proxy)
    if address.user is None:
        return {"proxy": address}
    from aiohttp import encode_basic_auth

    credentials = encode_basic_auth(address.user, address.password or "")
    return {"proxy": address.with_user(None), "proxy_headers": {"Proxy-Authorization": credentials}}
