"""A dispatcher that is stopped stops, whatever it is at: a worker that waits for it for ever
neither reconnects nor ends.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from celery import Celery

from config.reader import load_settings
from tests.ledgers import open_desk
from worker.sending.dispatcher import Dispatcher
from worker.sending.publisher import Publisher
from worker.services import open_services


async def test_a_stop_is_never_missed(valkey_url: str, tmp_path: Path) -> None:
    """Stopped at random moments of its first milliseconds, and just when something woke it."""
    config = tmp_path / "usher.toml"
    chance = random.Random(0)
    async with open_desk(valkey_url) as desk:
        config.write_text(f'[redis]\nurl = "{valkey_url}"\n[ledger]\nprefix = "{desk.keys.prefix}"\n')
        settings = load_settings({}, config)
        async with open_services(lambda: settings, valkey_url) as services:
            for _ in range(60):
                dispatcher = Dispatcher(services, "w1", 4, Publisher(Celery("never asked")))
                dispatcher.start()
                await asyncio.sleep(chance.random() * 0.006)
                if chance.random() < 0.3:
                    dispatcher.wake()
                stopping = asyncio.create_task(dispatcher.stop())
                await asyncio.wait({stopping}, timeout=40)
                missed = not stopping.done()
                stopping.cancel()
                await asyncio.wait({stopping})
                assert not missed
        assert "w1" not in await desk.jobs.workers()
