from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from sandbox.directory import Tenant
from sandbox.graph import Reply
from sandbox.options import Options, QuotaOptions, SecondsRange
from sandbox.tokens import Caller
from sandbox.world import World

JSON = {"Content-Type": "application/json"}


@dataclass
class Desk:
    """A world without a network, and a caller in it."""

    world: World
    roles: frozenset[str] = field(default_factory=frozenset)

    @property
    def tenant(self) -> Tenant:
        return self.world.apps[0][0]

    def caller(self) -> Caller:
        tenant, app = self.world.apps[0]
        return Caller(tenant, app, self.roles or frozenset(app.roles), 9e12, "t")

    def ask(self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        graph = self.world.graph
        call = graph.call(self.caller(), "the-callers-id")
        raw = b"" if body is None else orjson.dumps(body)
        return graph.answer(call, method, target, JSON if headers is None else headers, raw)

    def invite(self, email: str, /, **fields: Any) -> tuple[int, Any]:
        body = {"invitedUserEmailAddress": email, "inviteRedirectUrl": "https://example.com", **fields}
        reply = self.ask("POST", "/invitations", body)
        return reply.status, orjson.loads(reply.body)

    def batch(self, *items: dict[str, Any]) -> tuple[int, Any]:
        reply = self.ask("POST", "/$batch", {"requests": list(items)})
        return reply.status, orjson.loads(reply.body)

    def read(self, target: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        reply = self.ask("GET", target, headers=headers)
        return reply.status, orjson.loads(reply.body)


def item(number: int, email: str | None = None, **fields: Any) -> dict[str, Any]:
    """One batch item that invites somebody."""
    body = {
        "invitedUserEmailAddress": email or f"guest{number}@partner.example",
        "inviteRedirectUrl": "https://example.com",
        **fields,
    }
    return {"id": str(number), "method": "POST", "url": "/invitations", "headers": JSON, "body": body}


@pytest.fixture
def make_item() -> Callable[..., dict[str, Any]]:
    """Build batch items that invite."""
    return item


@pytest.fixture(scope="session")
def _shared() -> Iterator[World]:
    world = World(Options(replication=SecondsRange(), quota=QuotaOptions(enabled=False)))
    world.listening("https://127.0.0.1:1", 1)
    yield world
    world.close()


@pytest.fixture
def desk(_shared: World) -> Desk:
    """The default world, as new, without quota and replication lag."""
    _shared.reset()
    return Desk(_shared)


@pytest.fixture
def make_desk() -> Iterator[Callable[..., Desk]]:
    """Worlds with options of their own."""
    worlds: list[World] = []

    def make(**options: Any) -> Desk:
        world = World(Options(**{"replication": SecondsRange(), **options}))
        world.listening("https://127.0.0.1:1", 1)
        worlds.append(world)
        return Desk(world)

    yield make
    for world in worlds:
        world.close()
