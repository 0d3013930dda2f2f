"""`/healthz` says whether this server can be of use: it runs, and its Redis answers."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from console.parts import PartsOf
from console.problems import Problem
from worker.store.client import OUTAGE, describe

router = APIRouter()
_WITHIN_S = 2.0  # whoever asks gives up after a few seconds


@router.get("/healthz", include_in_schema=False)
async def healthz(parts: PartsOf) -> dict[str, str]:
    """Say that all is well. 503 while Redis is away."""
    client: Any = parts.services.client
    try:
        async with asyncio.timeout(_WITHIN_S):
            await client.ping()
    except (*OUTAGE, TimeoutError) as error:
        raise Problem(503, f"Redis cannot be reached ({describe(error)}).", retry_after_s=5) from None
    return {"status": "ok"}
