"""A host that a message named is called at the address that was checked, and at no other: the name
is looked up once.

A name may lead anywhere: to the cloud's metadata service, to another program on this machine.
aiohttp asks a resolver for names alone; a target that is an address itself was compared with
`notify.hosts`.
"""

from __future__ import annotations

import socket
from collections.abc import Collection

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from config.notify import may_call


class AddressInside(Exception):
    """Its address is inside the network, and notify.hosts does not list the address itself"""

    def __str__(self) -> str:
        return str(self.__doc__)


class CheckedResolver(AbstractResolver):
    """Looks names up as the system does, and passes on what a message may have called."""

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = hosts
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return a name's addresses. Raises `AddressInside` where none of them may be called."""
        found = [one for one in await self._inner.resolve(host, port, family) if may_call(one["host"], self._hosts)]
        if not found:
            raise AddressInside
        return found

    async def close(self) -> None:
        """Nothing is open."""
