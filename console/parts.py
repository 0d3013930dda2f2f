"""What a request works with: the open services, and what the process shares between requests.

async def list_jobs(parts: PartsOf) -> …:
    views = await parts.services.jobs.listed(newest=50)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from worker.services import Services


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


def find_parts(request: Request) -> Parts:
    """Return the parts of the process that answers a request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


PartsOf = Annotated[Parts, Depends(find_parts)]
"""The type of a route's argument that gets them."""
