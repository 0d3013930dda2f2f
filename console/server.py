"""`usher serve` runs the application with uvicorn: in this process, or in several that share one
socket.

Beyond this machine nothing is served without a configured sign-in or a producer (`refuse_open`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from config.reader import load_settings
from config.values import is_loopback
from config.watch import Watched
from console.app import build_app
from console.problems import Problem
from worker import logs
from worker.errors import CannotListen
from worker.services import open_services
from worker.store.client import check_server

if TYPE_CHECKING:
    from types import FrameType

    from fastapi import FastAPI

    from config.settings import Settings
    from worker.services import Services

FOLLOWER = "USHER_SERVE_FOLLOWER"
"""The variable by which a process of several knows who keeps the private stack."""
_GRACE_S = 10
"""How long requests may go on after the server was told to end."""
_BACKLOG = 1024
_REDIS_S = 5.0
"""A request is answered within seconds that Redis is away; somebody waits for it."""
_ANSWER_S = 20.0


def refuse_open(host: str, settings: Settings) -> None:
    """Raise `CannotListen` where anybody on the network could do anything."""
    if not (is_loopback(host) or settings.console.takes_tokens or settings.producers):
        raise CannotListen(
            f"{host} can be reached from other machines, and nobody would have to sign in: whoever runs usher sets up"
            " a sign-in or a producer first (docs/console-signin.md), or listens on 127.0.0.1. Nothing was started."
        )


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Open the socket; port 0 takes a free one. Raises `CannotListen`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        raise CannotListen(
            f"{host}:{port} cannot be listened on ({error.strerror or error}): choose another --host or --port."
            " Nothing was started."
        ) from None
    with opened:
        opened.listen(_BACKLOG)
        opened.set_inheritable(True)
        yield opened


def name_address(opened: socket.socket, host: str) -> str:
    """Return the URL under which a socket is reached."""
    return f"http://{f'[{host}]' if ':' in host else host}:{opened.getsockname()[1]}"


@asynccontextmanager
async def checked_services(watched: Watched) -> AsyncIterator[Services]:
    """Open the ledger for a server, and make sure that it can be one. Raises `ConfigError`,
    `LedgerUnavailable`, `LedgerUnsuitable`.
    """
    async with _opened_services(watched) as services:
        await check_server(services.client, prefix=services.keys.prefix, within_s=_ANSWER_S)
        await services.tenants.recall()
        yield services


def _opened_services(watched: Watched) -> AbstractAsyncContextManager[Services]:
    url = watched.settings.redis.url or ""
    return open_services(lambda: watched.settings, url, redis_timeout_s=_REDIS_S)


class _Protocol(H11Protocol):
    """HTTP/1.1; what is none is answered as every other problem is."""

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be read as one, and hang up."""
        problem = Problem(400, "This is no valid HTTP request; nothing was accepted.").response()
        headers = [*problem.raw_headers, (b"connection", b"close")]
        events = (
            h11.Response(status_code=problem.status_code, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(problem.body)),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Quiet(uvicorn.Server):
    """A server whose process catches the signals itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: FastAPI, opened: socket.socket, ending: asyncio.Event) -> None:
    """Serve in this process until it is asked to end; what is being answered is answered first."""
    server = _Quiet(uvicorn.Config(app, **_options()))
    running = asyncio.create_task(server.serve([opened]))
    waiting = asyncio.create_task(ending.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    server.should_exit = True
    await running


def serve_several(processes: int, opened: socket.socket, follower: int | None) -> None:
    """Serve in several processes until a signal; one that ends unasked is started again."""
    if follower is not None:
        os.environ[FOLLOWER] = str(follower)
    app = "console.server:build_one_of_several"
    Multiprocess(uvicorn.Config(app, factory=True, workers=processes, **_options()), [opened]).run()


def build_one_of_several() -> FastAPI:
    """Build the application of one of several processes, from the environment alone."""
    watched, ending = Watched(load_settings), asyncio.Event()
    told = watched.settings.logs
    logs.set_up(told.form, told.number)
    follower = os.environ.get(FOLLOWER)

    @asynccontextmanager
    async def opening() -> AsyncIterator[Services]:
        _tell_of_end(asyncio.get_running_loop(), ending)
        async with _opened_services(watched) as services:
            yield services

    return build_app(opening, follower=int(follower) if follower else None, ending=ending)


def _tell_of_end(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    """Set the event, too, when uvicorn's own handler of a signal asks the server to end."""

    def wrap(before: Any) -> Any:
        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(ending.set)
            before(number, frame)

        return handle

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, wrap(signal.getsignal(number)))


def _options() -> dict[str, Any]:
    return {
        "log_config": None,  # usher's own form, which masks
        "access_log": False,  # paths and queries may name a person
        "log_level": logging.WARNING,
        "server_header": False,
        "timeout_graceful_shutdown": _GRACE_S,
        "http": _Protocol,
        "ws": "none",
        "lifespan": "on",
        # A proxy on this machine is believed; another one where FORWARDED_ALLOW_IPS names it
        "proxy_headers": True,
    }
