"""How fast the sandbox is by itself: prepared `$batch` bodies from a bare client, no ledger, no
verdicts. Nothing measured against it can be faster.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import tomllib
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.stage import cpu_s_of, describe_machine, open_stage

ROWS, AT_ONCE, ITEMS = 40_000, 8, 20


def measure() -> dict[str, float]:
    """Send; returns rows/s, and the sandbox's processor seconds per 1,000 rows."""
    with open_stage() as stage:
        bodies = [_body(first) for first in range(0, ROWS, ITEMS)]
        before = cpu_s_of(stage.processes["sandbox"].pid)
        table = tomllib.loads((stage.folder / "usher.toml").read_text())["connections"][stage.connections[0]]
        seconds = asyncio.run(
            _send(table, Path(table["client_secret"].removeprefix("file:")).read_text().strip(), bodies)
        )
        used = cpu_s_of(stage.processes["sandbox"].pid) - before
    return {"rows_per_s": ROWS / seconds, "sandbox_cpu_s_per_1000": used / ROWS * 1000}


def main() -> dict[str, Any]:
    """Print both figures."""
    print(describe_machine())
    found = measure()
    print(
        f"the sandbox alone: {found['rows_per_s']:,.0f} rows/s, {found['sandbox_cpu_s_per_1000']:.3f} CPU-s per 1,000"
    )
    return found


def _body(first: int) -> bytes:
    items = [
        {
            "id": str(n),
            "method": "POST",
            "url": "/invitations",
            "headers": {"Content-Type": "application/json"},
            "body": {
                "invitedUserEmailAddress": f"ceiling.{n}@partner{n % 50}.example",
                "inviteRedirectUrl": "https://myapplications.microsoft.com",
                "sendInvitationMessage": True,
            },
        }
        for n in range(first, first + ITEMS)
    ]
    return json.dumps({"requests": items}).encode()


async def _send(table: dict[str, str], secret: str, bodies: list[bytes]) -> float:
    trust = ssl.create_default_context(cafile=table["ca_file"])
    form = {
        "grant_type": "client_credentials",
        "client_id": table["client_id"],
        "client_secret": secret,
        "scope": f"{table['graph_url'].removesuffix('/v1.0')}/.default",
    }
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        async with session.post(f"{table['authority']}/oauth2/v2.0/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        waiting = iter(bodies)

        async def one_connection() -> None:
            for body in waiting:
                async with session.post(f"{table['graph_url']}/$batch", data=body, headers=headers) as answer:
                    answer.raise_for_status()
                    await answer.read()

        began = time.monotonic()
        await asyncio.gather(*(one_connection() for _ in range(AT_ONCE)))
        return time.monotonic() - began
