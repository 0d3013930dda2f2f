"""Services of a worker that answer as a test says, and tell what was asked of them: the decisions
between them, without Redis or a wire.

What the ledger and Graph's client do by themselves is tested on real ones; here a wrong branch is
found in a second.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from config.connections import Connection
from config.errors import UnknownConnection
from config.reader import parse_connection
from config.settings import Settings
from worker.clocks import Clocks
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.exchange import Exchange
from worker.graph.latency import Latencies
from worker.graph.limit_header import Begun
from worker.ledger.gates import Held
from worker.ledger.meters import Meters
from worker.ledger.model import Grant, GrantedRow, IndexPlace, Lane, Lease, Options, Outcome, Recorded, Ticket
from worker.operations.operation import Channel
from worker.operations.registry import OPERATIONS
from worker.signin.credentials import AccessToken, make_token

CONTOSO = parse_connection(
    "contoso",
    {
        "tenant_id": "1" * 8 + "-1111-1111-1111-" + "1" * 12,
        "client_id": "a",
        "client_secret": "env:NONE",
        "precheck": False,
    },
)
NOW_MS = 1_800_000_000_000
"""What the ledger's clock says when the services are opened."""

CHANNEL = Channel(CONTOSO, OPERATIONS["invite"])


def answered(status: int, code: str = "", message: str = "", **headers: str) -> GraphAnswer:
    """Return what Graph says of one request: an invitation for 201, else an error."""
    body: Any = {"error": {"code": code, "message": message}}
    if status == 201:
        body = {"id": "i", "inviteRedeemUrl": "https://x/1", "invitedUser": {"id": "u"}}
    return GraphAnswer(Fate.ANSWERED, status, {name.replace("_", "-"): text for name, text in headers.items()}, body)


def new_token(age_s: float = 0.0) -> AccessToken:
    """Return an access token that was issued so long ago."""
    return make_token("t", issued_s=time.time() - age_s, life_s=3600, fingerprint="f")


def new_lease(rows: int = 2, lane: Lane = Lane.BULK) -> Lease:
    """Return a chunk in work."""
    emails = [{"email": f"g{n}@partner.example"} for n in range(rows)]
    return Lease(Ticket("j", 0, 1, "contoso", lane), "." * rows, "0" * rows, emails, 1, Options(), 0, 1)


def grant(*indexes: int, **more: Any) -> Grant:
    """Return a grant of rows."""
    return Grant(tuple(GrantedRow(index, 1, False) for index in indexes), 1, **more)


@dataclass
class Given:
    """Services. `asked` has the name of each question that matters, with its first arguments."""

    grants: deque[Grant] = field(default_factory=deque)
    answers: deque[GraphAnswer] = field(default_factory=deque)  # one a request
    held: Held = Held.NEWS
    token: AccessToken | Exception | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    gone: bool = False  # the job was deleted
    leases: deque[Lease] = field(default_factory=deque)  # claimed one after the other
    approved: bool = True
    connections: dict[str, Connection] = field(default_factory=lambda: {"contoso": CONTOSO})

    def __post_init__(self) -> None:
        self.clocks, self.latencies, self.meters, self.begun = Clocks(lambda: 0.0), Latencies(), Meters(), Begun()
        self.ledger = self.spending = self.index = self.graph = self.tokens = self.gates = self.jobs = self
        self.settle_s, self.presence = 60.0, SimpleNamespace(epoch="e")
        self.clocks.learn_redis(NOW_MS)

    def names(self) -> list[str]:
        """Return what was asked, without the arguments."""
        return [name for name, *_ in self.asked]

    def settings(self) -> Settings:
        return Settings()

    # The ledger

    async def place(self, tenant_key: str, emails: dict[int, str]) -> IndexPlace:
        return IndexPlace(tenant_key, {i: email.encode() for i, email in emails.items()})

    async def find_put_off(self, lease: Lease, now_ms: int) -> dict[int, float]:
        return {}

    async def begin_batch(self, lease: Lease, indexes: Sequence[int], *_: Any, **__: Any) -> Grant:
        self.asked.append(("begin_batch", tuple(indexes)))
        return self.grants.popleft()

    async def record_batch(
        self, job: str, chunk: int, connection: str, lane: Lane, batch: int, outcomes: Sequence[Outcome], *_: Any
    ) -> Recorded:
        self.outcomes |= {outcome.index: outcome for outcome in outcomes}
        return Recorded(1, 1, "running", 1, gone=self.gone)

    async def record_look_up(
        self,
        job: str,
        chunk: int,
        channel: str,
        lane: Lane,
        outcomes: Sequence[Outcome],
        index: IndexPlace | None,
        chained: bytes = b"",
    ) -> None:
        await self.record_batch(job, chunk, channel, lane, 0, outcomes, index)

    async def fold(self, job: str, chunk: int) -> bool:
        return False

    async def show_used(self, *_: Any, **__: Any) -> None:
        self.asked.append(("show_used",))

    async def works(self, buckets: object) -> None:
        self.asked.append(("quota works",))

    async def passed_probation(self, name: str) -> None:
        self.asked.append(("passed_probation", name))

    async def throttled(
        self, name: str, buckets: Sequence[Any], wait_s: float, *_: Any, **__: Any
    ) -> tuple[float, bool]:
        self.asked.append(("throttled", name, tuple(bucket.scope.partition(":")[0] for bucket in buckets)))
        return wait_s, True

    async def claim(self, ticket: Ticket) -> Lease | None:
        return self.leases.popleft() if self.leases else None

    async def release(self, lease: Lease, wait_s: float = 0.0, put_off_s: float = 0.0) -> None:
        self.asked.append(("release", wait_s, put_off_s))

    # Jobs and connections

    def connection(self, name: str) -> Connection:
        if name not in self.connections:
            raise UnknownConnection(name, [*self.connections])
        return self.connections[name]

    def is_of_tenant(self, tenant_key: str, connection: str) -> bool:
        return tenant_key in ("", self.connection(connection).tenant_key)

    async def hold_job(self, job: str, connection: str, why: str) -> None:
        self.asked.append(("hold_job", job, connection, why))

    async def resolved(self, name: str) -> Connection:
        return self.connection(name)

    async def view(self, job: str) -> Any:
        return SimpleNamespace(info={})

    async def park(self, job: str, why: str) -> bool:
        self.asked.append(("park", job))
        return self.approved

    # The gates

    async def hold(self, name: str, kind: Any, why: str, *, fingerprint: str = "", try_s: float | None = None) -> Held:
        self.asked.append(("hold", name, kind, try_s))
        return self.held

    async def block_tenant(self, tenant_key: str, why: str) -> None:
        self.asked.append(("block_tenant", tenant_key))

    async def note_trouble(self, name: str, why: str, wait_s: float) -> None:
        self.asked.append(("note_trouble", name))

    async def forget_trouble(self, name: str) -> None:
        self.asked.append(("forget_trouble", name))

    async def reopen_after_try(self, name: str) -> bool:
        self.asked.append(("reopen", name))
        return True

    # Signing in, and Graph

    async def get(self, connection: object) -> AccessToken:
        if isinstance(self.token, Exception):
            raise self.token
        return self.token or new_token()

    async def invalidate(self, connection: object, token: AccessToken) -> None:
        self.asked.append(("invalidate",))

    async def send_batch(
        self, connection: object, secret: object, requests: list[GraphRequest], **how: Any
    ) -> Exchange:
        answers = {request.id: self.answers.popleft() for request in requests}
        return Exchange(answers, "id", None, 0.1, 200)

    async def send_one(self, connection: object, secret: object, request: GraphRequest, **how: Any) -> Exchange:
        return await self.send_batch(connection, secret, [request])

    def may_read(self, connection: object, token: object) -> bool:
        """Look-ups: whether rows can be looked up."""
        return True


class NoLeases:
    """Nothing renews the leases of these tests."""

    def add(self, lease: object) -> None: ...

    def remove(self, lease: object) -> None: ...
