"""`usher serve`: the console and the HTTP API, on the private stack or the configured Redis."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import click

from cli.ui.interrupts import Interrupts
from cli.ui.session import Session

if TYPE_CHECKING:
    from socket import socket

    from cli.ui.place import Place
    from cli.ui.terminal import Terminal

_KEEP_EVERY_S = 1.0  # the private stack is kept by asking for it


@click.command()
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0: any free one.")
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="How many processes answer; one a core serves most.",
)
@click.pass_obj
def serve(session: Session, host: str, port: int, processes: int) -> int:
    """Serve the console and the HTTP API (docs/http.md) until Ctrl-C.

    Without a Redis in the configuration it brings the private stack with it: server, worker and
    sandbox. Beyond this machine it serves nothing without a configured sign-in.
    """
    from cli.ui.terminal import Terminal

    refuse_without_extra()
    from cli.ui.place import open_place
    from config.connections import SANDBOX
    from config.reader import load_settings
    from console.server import listening, refuse_open
    from worker import logs

    interrupts, terminal = Interrupts(), Terminal(session)
    with interrupts.caught():
        refuse_open(host, load_settings())
        with listening(host, port) as opened, open_place() as place:
            told = place.settings.logs
            logs.set_up(told.form, told.number)
            if place.private:
                place.need_worker(SANDBOX)
            if processes == 1:
                return asyncio.run(_serve(terminal, interrupts, place, opened, host))
            return _serve_several(terminal, place, opened, host, processes)


def refuse_without_extra() -> None:
    """Raise `Refusal` where usher was installed without what serves pages."""
    from importlib.util import find_spec

    from tasks.errors import Refusal

    if not all(find_spec(name) for name in ("fastapi", "multipart", "sse_starlette", "uvicorn")):
        raise Refusal(
            "`usher serve` needs what usher was installed without: whoever installed it adds the extra console (pip"
            " install 'entra-usher[console]'). Nothing was started."
        )


async def _serve(terminal: Terminal, interrupts: Interrupts, place: Place, opened: socket, host: str) -> int:
    from contextlib import nullcontext

    from console.app import build_app
    from console.server import checked_services, name_address, serve

    async with checked_services(place.watched) as services:
        with interrupts.patiently() as asked:
            follower = os.getpid() if place.private else None
            app = build_app(lambda: nullcontext(services), follower=follower, ending=asked)
            serving = asyncio.create_task(serve(app, opened, asked))
            terminal.say(_ready(name_address(opened, host)))
            while not serving.done():
                for notice in await asyncio.to_thread(place.keep):
                    terminal.say(notice)
                await asyncio.wait({serving}, timeout=_KEEP_EVERY_S)
            await serving
    return 0


async def _check(place: Place) -> None:
    from console.server import checked_services

    async with checked_services(place.watched):
        pass


def _serve_several(terminal: Terminal, place: Place, opened: socket, host: str, processes: int) -> int:
    from console.server import name_address, serve_several

    asyncio.run(_check(place))
    if place.hold is not None:
        os.environ.update(place.hold.variables)  # by which the processes find the private stack
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(_KEEP_EVERY_S):
            for notice in place.keep():
                terminal.say(notice)

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    terminal.say(_ready(name_address(opened, host)))
    try:
        serve_several(processes, opened, os.getpid() if place.private else None)
    finally:
        ended.set()
        keeper.join()
    return 0


def _ready(url: str) -> str:
    return f"usher is at {url} (its API at {url}/v1). Ctrl-C ends this."
