"""A sign-in service whose every answer a test decides, and what asks it for tokens."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from config.connections import Connection
from config.references import Reference
from tests.servers import (
    Certificate,
    RawServer,
    Received,
    answer,
    run_raw_server,
)
from worker.signin.token_cache import TokenShelf
from worker.signin.tokens import TokenSource

TENANT = "11111111-2222-4333-8444-555555555555"
Reply = tuple[int, Any, dict[str, str]]


def target(authority: str, **more: Any) -> Connection:
    """Return a connection that signs in at `authority`, which no configuration might name."""
    given: dict[str, Any] = {"name": "contoso", "tenant_id": TENANT, "client_id": "client-1"}
    graph_url = "https://graph.microsoft.com/v1.0"
    return Connection.model_construct(**given, graph_url=graph_url, authority=f"{authority}/{TENANT}", **more)


def changed(connection: Connection, **more: Any) -> Connection:
    """Return another connection, which differs in these settings."""
    return connection.model_copy(update=more)


def make_jwt(**claims: Any) -> str:
    """Return a token that looks like Entra's."""
    parts = [{"typ": "JWT", "alg": "none"}, {"roles": ["User.Invite.All"], **claims}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "signature"])


@dataclass
class Entra:
    """What the local sign-in service answers next, and what it was asked."""

    server: RawServer
    target: Connection
    respond: Callable[[dict[str, str]], Reply]
    asked: list[dict[str, str]] = field(default_factory=list)
    delay_s: float = 0.0
    discovery: Reply | None = None

    async def behave(self, request: Received, writer: asyncio.StreamWriter) -> None:
        if request.path.endswith("/.well-known/openid-configuration"):
            base = f"{self.server.url}/{TENANT}"
            found = {
                "issuer": base,
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/x",
            }
            status, body, headers = self.discovery or (200, found, {})
        else:
            form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            self.asked.append(form)
            await asyncio.sleep(self.delay_s)
            status, body, headers = self.respond(form)
        answer(writer, status, body, headers)


def good(form: dict[str, str]) -> Reply:
    """Grant a token that is different each time."""
    token = make_jwt(nonce=time.perf_counter_ns(), secret=form.get("client_secret", ""))
    return 200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}, {}


def refuse(code: int, status: int = 401) -> Reply:
    """Refuse as Entra does."""
    description = f"AADSTS{code}: Because. Trace ID: 1"
    return status, {"error": "invalid_client", "error_codes": [code], "error_description": description}, {}


@asynccontextmanager
async def run_entra(certificate: Certificate, secret: Path) -> AsyncIterator[Entra]:
    """Run a sign-in service, with a connection to it whose secret stands in a file."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await found.behave(request, writer)

    async with run_raw_server(certificate, behave) as server:
        reference = Reference.parse(f"file:{secret}")
        found = Entra(
            server, target(server.url, ca_file=str(certificate.certificate), client_secret=(reference,)), good
        )
        yield found


@asynccontextmanager
async def source(shelf: TokenShelf | None = None, **changes: Any) -> AsyncIterator[TokenSource]:
    """Open a token source and close it."""
    opened = TokenSource(shelf, **changes)
    try:
        yield opened
    finally:
        await opened.close()
