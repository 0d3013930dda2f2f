"""`usher metrics`: one Prometheus endpoint for the whole installation, whatever number of workers
it has; it reads the ledger alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from cli.ui.interrupts import Interrupts
from cli.ui.session import Session

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.metrics.endpoint import Address
    from worker.metrics.snapshot import Observer, Snapshot

_LOOK_FOR_S = 8.0
"""Prometheus gives a scrape up after 10 s by default; it is to hear that the ledger is away."""
_KEEP_EVERY_S = 1.0  # the private server is kept by asking for it


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Where to listen (else metrics.listen, 127.0.0.1:9464).")
@click.pass_obj
def metrics(session: Session, listen: str | None) -> int:
    """Serve Prometheus metrics of the whole installation until Ctrl-C: docs/metrics.md lists them.

    One such process is enough for any number of workers. Beyond this machine it asks for a login or
    a token ([metrics] of the configuration).
    """
    from cli.ui.place import open_place
    from cli.ui.terminal import Terminal
    from worker.metrics.endpoint import Address, Doorkeeper, refuse_open_door

    interrupts = Interrupts()
    with interrupts.caught(), open_place() as place:
        wanted = place.settings.metrics
        address, doorkeeper = Address.parse(listen or wanted.listen), Doorkeeper(wanted.login, wanted.token)
        refuse_open_door(address, doorkeeper)
        return asyncio.run(_serve(Terminal(session), interrupts, place, address, doorkeeper))


async def _serve(terminal: Terminal, interrupts: Interrupts, place: Place, address: Address, doorkeeper: Any) -> int:
    from worker.metrics.endpoint import serve
    from worker.metrics.snapshot import Observer
    from worker.services import open_services

    def tell(at: Address) -> None:
        terminal.say(f"Metrics are at http://{at}/metrics. Ctrl-C ends this.")

    url = place.settings.redis.url or ""
    with interrupts.patiently() as asked:
        async with open_services(lambda: place.settings, url, sealed=False, redis_timeout_s=_LOOK_FOR_S) as services:
            page = _Page(terminal, Observer(services.client, services.keys, services.settings))
            runner = await serve(address, doorkeeper, page.collect, on_ready=tell)
            try:
                while not asked.is_set():
                    for notice in await asyncio.to_thread(place.keep):
                        terminal.say(notice)
                    try:
                        await asyncio.wait_for(asked.wait(), _KEEP_EVERY_S)
                    except TimeoutError:
                        continue
            finally:
                await runner.cleanup()
    return 0


class _Page:
    """What a scrape gets. A ledger that is away is a metric, not an error; it is said once."""

    def __init__(self, terminal: Terminal, observer: Observer) -> None:
        from config.version import read_version
        from worker.metrics.exposition import Names

        self._terminal = terminal
        self._observer = observer
        self._connections, self._schedules, self._version = Names(), Names(), read_version()
        self._one_at_a_time = asyncio.Lock()
        self._away = False

    async def collect(self) -> CollectorRegistry:
        """Look at the ledger; return what is to be shown."""
        from worker.metrics.exposition import build_metrics, build_registry

        async with self._one_at_a_time:
            look = await self._look()
        return build_registry(build_metrics(look, self._version, self._connections, self._schedules))

    async def _look(self) -> Snapshot | None:
        from redis.exceptions import RedisError

        from worker.store.client import describe

        try:
            look = await asyncio.wait_for(self._observer.look(), _LOOK_FOR_S)
        except (RedisError, OSError, TimeoutError) as error:
            if not self._away:
                self._terminal.warn(f"Redis cannot be read ({describe(error)}); usher_ledger_up says so until it can.")
            self._away = True
            return None
        self._away = False
        return look
