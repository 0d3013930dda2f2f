"""`usher metrics` serves one page over HTTP, `/metrics`. Beyond this machine it is shown to nobody
without a login.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from config.errors import ConfigError
from config.values import is_loopback
from worker.errors import CannotListen

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from config.references import Reference

Collect = Callable[[], Awaitable["CollectorRegistry"]]
_CHALLENGES = ("Basic", "Bearer")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `HOST:PORT`, `[V6]:PORT`, `:PORT` (everywhere). Raises `CannotListen`."""
        host, colon, port = text.strip().rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise CannotListen(
                f"{text[:80]!r} is no address to listen on: give HOST:PORT, such as 127.0.0.1:9464. Nothing was"
                " started."
            )
        return cls(host or "0.0.0.0", int(port))  # noqa: S104 - as asked for, and refused without a login

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Who may read: whoever brings one of the secrets, read anew each time. Without any, everybody
    (on this machine).
    """

    login: Reference | None = None  # NAME:PASSWORD
    token: Reference | None = None

    @property
    def asks(self) -> bool:
        """Whether there is anything to bring."""
        return bool(self.login or self.token)

    def lets_in(self, authorization: str) -> bool:
        """Whether this `Authorization` header opens. Blocking: reads files. Raises `ConfigError`
        when a secret cannot be read.
        """
        scheme, _, rest = authorization.partition(" ")
        given = rest.strip().encode("utf-8", "surrogateescape")  # as aiohttp read it
        if scheme.lower() == "basic" and self.login:
            try:
                said = base64.b64decode(given, validate=True)
            except binascii.Error:
                return False
            return hmac.compare_digest(said, self.login.resolve().reveal().encode())
        if scheme.lower() == "bearer" and self.token:
            return hmac.compare_digest(given, self.token.resolve().reveal().encode())
        return not self.asks


def refuse_open_door(address: Address, doorkeeper: Doorkeeper) -> None:
    """Raise `CannotListen` where anybody on the network could read, and `ConfigError` where a
    secret cannot be read.
    """
    if not address.is_loopback and not doorkeeper.asks:
        raise CannotListen(
            f"{address} can be reached from other machines, so whoever runs usher sets metrics.login (a reference to "
            "NAME:PASSWORD) or metrics.token (to a bearer token) first, or listens on 127.0.0.1. Nothing was started."
        )
    for reference in (doorkeeper.login, doorkeeper.token):
        if reference is not None:
            reference.resolve()
    if doorkeeper.login is not None and ":" not in doorkeeper.login.resolve().reveal():
        raise CannotListen(
            f"{doorkeeper.login} must hold NAME:PASSWORD in one line; whoever runs usher corrects it. Nothing was"
            " started."
        )


async def serve(
    address: Address, doorkeeper: Doorkeeper, collect: Collect, *, on_ready: Callable[[Address], None]
) -> web.AppRunner:
    """Begin to serve, until `cleanup`. `on_ready` gets the real port. Raises `CannotListen`."""

    async def answer(request: web.Request) -> web.Response:
        try:
            welcome = await asyncio.to_thread(doorkeeper.lets_in, request.headers.get("Authorization", ""))
        except ConfigError as error:
            return web.Response(status=503, text=f"{error}\n")
        if not welcome:
            return web.Response(
                status=401,
                text="A login is needed.\n",
                headers=[("WWW-Authenticate", f'{way} realm="usher"') for way in _CHALLENGES],
            )
        if request.path != "/metrics":
            return web.Response(status=404, text="The metrics are at /metrics.\n")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(await collect()), headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, address.host, address.port, shutdown_timeout=5.0)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise CannotListen(
            f"{address} cannot be listened on ({error.strerror or error}): choose another address with --listen. "
            "Nothing was started."
        ) from None
    on_ready(Address(address.host, int(runner.addresses[0][1])))
    return runner
