"""What a request works with: the open services, and what the process shares between requests.

async def list_jobs(parts: PartsOf) -> …:
    views = await parts.services.jobs.listed(newest=50)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from console.turns import Turns, TurnsOfEach
from console.watching import Watching
from worker.services import Services

_LISTS_AT_ONCE = 4
"""Lists that one process takes in at a time; each takes one core while it is read."""
_READINGS_AT_ONCE = 8
"""Tenants, and long results, that one process reads out at a time."""


@dataclass(slots=True)
class Parts:
    """The opened parts of one server process.

    `follower`: the process that keeps the private stack, which jobs of it name as the one that
    follows them; None where workers of their own run them. `ending` is set when the server is told
    to end: streams stop then.
    """

    services: Services
    follower: int | None = None
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    bodies: TurnsOfEach = field(default_factory=lambda: TurnsOfEach(_LISTS_AT_ONCE))
    loads: Turns = field(default_factory=lambda: Turns(_LISTS_AT_ONCE))
    readings: Turns = field(default_factory=lambda: Turns(_READINGS_AT_ONCE))
    watching: Watching = field(init=False)

    def __post_init__(self) -> None:
        self.watching = Watching(self.services.jobs, self.ending)

    async def follow(self, job: str) -> None:
        """Say that a job of the private stack is followed from here, before it is let go."""
        if self.follower is not None:
            await self.services.jobs.follow(job, self.follower)


def find_parts(request: Request) -> Parts:
    """Return the parts of the process that answers a request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


PartsOf = Annotated[Parts, Depends(find_parts)]
"""The type of a route's argument that gets them."""
