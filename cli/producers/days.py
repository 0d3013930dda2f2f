"""How much of a producer's day is used the ledger tells, where somebody has a limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.settings import Settings

_LOOK_FOR_S: Final = 3.0


def find_used(terminal: Terminal, settings: Settings) -> dict[str, int]:
    """Return how many rows each producer with a limit has submitted today. A ledger that cannot be
    asked is told of, and the list has no numbers.
    """
    from cli.ui.place import open_place
    from worker.stack.folders import StackError
    from worker.store.client import OUTAGE, describe

    limited = [name for name, producer in settings.producers.items() if producer.daily_limit is not None]
    if not limited:
        return {}
    try:
        with open_place() as place:
            return asyncio.run(_read(place, limited))
    except OUTAGE as error:
        why = describe(error)
    except StackError as error:
        why = str(error)
    terminal.warn(f"How much of today is used cannot be told: Redis cannot be reached ({why}).")
    return {}


async def _read(place: Place, producers: list[str]) -> dict[str, int]:
    from worker.ledger.programs.producer_days import ProducerDays
    from worker.services import open_services

    url = place.settings.redis.url or ""
    async with open_services(lambda: place.settings, url, sealed=False, redis_timeout_s=_LOOK_FOR_S) as services:
        return await ProducerDays(services.client, services.keys).used(producers)
