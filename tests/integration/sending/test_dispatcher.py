"""A dispatcher on a real ledger, and seats of its process that take the next chunk of their job
from it without a message.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from celery import Celery

from config.reader import load_settings
from tests.ledgers import Desk
from tests.servers import start_valkey, stop_valkey
from tests.sites import Site
from worker.ledger.model import Ticket
from worker.sending.dispatcher import Dispatcher
from worker.sending.publisher import Publisher
from worker.services import open_services


class _Post(Publisher):
    """What would be sent by message."""

    def __init__(self) -> None:
        super().__init__(Celery("never asked"))
        self.sent: list[Ticket] = []
        self.posted, self.open = threading.Event(), threading.Event()
        self.open.set()

    def send_offers(self, offers: Sequence[tuple[Ticket, int]]) -> None:
        self.sent += [ticket for ticket, _ in offers]
        self.posted.set()
        self.open.wait(60)


@asynccontextmanager
async def _dispatcher(url: str, prefix: str, folder: Path, seats: int) -> AsyncIterator[tuple[Dispatcher, _Post]]:
    config = folder / "usher.toml"
    config.write_text(f'[redis]\nurl = "{url}"\n[ledger]\nprefix = "{prefix}"\n')
    settings, post = load_settings({}, config), _Post()
    async with open_services(lambda: settings, url) as services:
        dispatcher = Dispatcher(services, "w1", seats, post)
        dispatcher.start()
        yield dispatcher, post
        await dispatcher.stop()


async def test_a_seat_is_handed_the_next_chunk_of_its_job(desk: Desk, valkey_url: str, tmp_path: Path) -> None:
    """The first offer is a message; once its chunk has ended, the second is not."""
    job = await desk.load(150)
    async with _dispatcher(valkey_url, desk.keys.prefix, tmp_path, seats=1) as (dispatcher, post):
        async with asyncio.timeout(40):
            await asyncio.to_thread(post.posted.wait, 40)
            lease = await desk.ledger.claim(post.sent[0])
            assert lease is not None
            while lease.pending():
                await desk.record(lease, await desk.begin(lease))
                lease.letters = await desk.letters(job)
            await desk.ledger.release(lease)
            ticket = await dispatcher.next_of(job)
            assert ticket is not None
            assert ticket.chunk == 1
            assert await dispatcher.next_of(job) is None
        assert len(post.sent) == 1
        assert await desk.ledger.claim(ticket) is not None


async def test_a_seat_is_let_go_where_its_job_has_nothing_more(desk: Desk, valkey_url: str, tmp_path: Path) -> None:
    """With the next tick, though another job has: that one goes by message, to whoever is free."""
    other = await desk.load(10)
    async with _dispatcher(valkey_url, desk.keys.prefix, tmp_path, seats=2) as (dispatcher, post), asyncio.timeout(40):
        assert await dispatcher.next_of("a job that is over") is None
        assert [ticket.job for ticket in post.sent] == [other]


async def test_nobody_waits_for_a_worker_that_stops(desk: Desk, valkey_url: str, tmp_path: Path) -> None:
    """Neither while it leaves, nor once it has stopped."""
    async with _dispatcher(valkey_url, desk.keys.prefix, tmp_path, seats=2) as (dispatcher, _), asyncio.timeout(40):
        dispatcher.leave()
        assert await dispatcher.next_of("j") is None
        waiting = asyncio.create_task(dispatcher.next_of("j"))
        await asyncio.sleep(0)
        await dispatcher.stop()
        assert await waiting is None
        assert await dispatcher.next_of("j") is None


async def test_a_worker_that_leaves_lets_its_seats_go_though_its_broker_hangs(
    desk: Desk, valkey_url: str, tmp_path: Path
) -> None:
    """A warm stop waits for the batch in flight, and for nothing else."""
    async with _dispatcher(valkey_url, desk.keys.prefix, tmp_path, seats=2) as (dispatcher, post), asyncio.timeout(40):
        post.open.clear()
        await desk.load(10)
        await asyncio.to_thread(post.posted.wait, 40)
        waiting = asyncio.create_task(dispatcher.next_of("j"))
        await asyncio.sleep(0)
        dispatcher.leave()
        assert await waiting is None
        post.open.set()


async def test_nobody_waits_for_a_redis_that_is_away(folder: Path, tmp_path: Path) -> None:
    """The tick fails, and the seat is free."""
    server, url = start_valkey(folder)
    async with _dispatcher(url, "u", tmp_path, seats=2) as (dispatcher, _), asyncio.timeout(40):
        assert await dispatcher.next_of("j") is None
        stop_valkey(server)
        assert await dispatcher.next_of("j") is None


async def test_a_worker_runs_most_chunks_of_a_long_job_without_a_message(site: Site) -> None:
    """Everybody is invited once; each chunk has its line, with its own number, in whichever task it
    ran.
    """
    site.start_worker(8, level="DEBUG")
    job = await site.desk.load(3000)
    await site.all_invited_once(job, 3000)
    log = site.log_of(1).read_text()
    assert log.count("Task usher.run_chunk") < 30
    for number in range(1, 31):
        assert f"job {job} chunk {number} of 30, contoso, in " in log
