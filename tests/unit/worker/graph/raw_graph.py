"""A Graph of a test: a raw server that behaves as told, and a client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from config.connections import Connection
from tests.servers import Certificate, RawServer, Received, run_raw_server
from worker.graph.batch import GraphRequest
from worker.graph.client import GraphClient

TOKEN = "eyJ.made-up.token"
ROWS = [
    GraphRequest(str(n), "POST", "/invitations", {"invitedUserEmailAddress": f"g{n}@example.com"}) for n in range(3)
]


def target_of(graph_url: str, ca_file: str | None) -> Connection:
    """Return a connection with all that the client looks at."""
    return Connection.model_construct(graph_url=graph_url, ca_file=ca_file)


@asynccontextmanager
async def graph(certificate: Certificate, behave: Any) -> AsyncIterator[tuple[GraphClient, Connection, RawServer]]:
    """Run a Graph that behaves as told, and a client of it."""
    client = GraphClient(5.0)
    async with run_raw_server(certificate, behave) as server:
        try:
            yield client, target_of(f"{server.url}/v1.0", str(certificate.certificate)), server
        finally:
            await client.close()


def batch_answer(request: Received, status: int = 201) -> dict[str, Any]:
    """Answer each item, last first."""
    items = [{"id": item["id"], "status": status, "body": {"n": item["id"]}} for item in request.json["requests"]]
    return {"responses": items[::-1]}


async def no_sleep(seconds: float) -> None:
    """Wait for nothing between two tries."""
    await asyncio.sleep(0)
