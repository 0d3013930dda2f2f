"""A process opens what it needs to work once and closes it in reverse: Redis, ledger, tokens, the
Graph client.

A worker opens it in its event loop for its lifetime, a command of the CLI for one run. Settings are
asked for at each use, because a changed file, or a changed secret, reaches a running process.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from config.connections import SANDBOX
from config.errors import ConfigError, UnknownConnection
from config.reader import parse_connection
from worker.channels import split_channel
from worker.clocks import Clocks
from worker.graph.client import GraphClient
from worker.graph.latency import Latencies
from worker.graph.limit_header import Begun
from worker.ledger.audit.account import find_actor
from worker.ledger.audit.log import AuditLog
from worker.ledger.audit.trail import Trail
from worker.ledger.batches import Ledger
from worker.ledger.gates import Gates
from worker.ledger.guests.disabled import Disabled
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.guests.last_seen import LastSeen
from worker.ledger.guests.moving import Moving
from worker.ledger.guests.reminders import Reminders
from worker.ledger.job_targets import JobTargets
from worker.ledger.jobs import Jobs
from worker.ledger.keys import Keys
from worker.ledger.meters import Meters
from worker.ledger.programs.key_hold import KeyHold
from worker.mail.mailroom import Mailroom
from worker.signin.tenant_ids import Tenants
from worker.signin.token_cache import TokenShelf
from worker.signin.tokens import TokenSource
from worker.store.client import open_client
from worker.store.keyring import Keyring, no_sealer

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.store.keyring import FindSealer

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Services:
    """The opened parts. `settings()` is always the present configuration."""

    settings: Callable[[], Settings]
    client: Any  # redis-py's types say bytes or text of every reply; ours are bytes
    keys: Keys
    ledger: Ledger
    jobs: Jobs
    gates: Gates
    index: GuestIndex
    reminders: Reminders
    disabled: Disabled
    moving: Moving
    tokens: TokenSource
    graph: GraphClient
    mailroom: Mailroom
    sealer: FindSealer
    key_hold: KeyHold
    tenants: Tenants
    clocks: Clocks = field(default_factory=Clocks)
    latencies: Latencies = field(default_factory=Latencies)
    begun: Begun = field(default_factory=Begun)
    meters: Meters = field(default_factory=Meters)
    problem: Callable[[], str] = lambda: ""
    """Why the configuration's files as they are now are not believed, '' while they are (or where
    nobody watches them).
    """

    @property
    def trail(self) -> Trail:
        """The audit trail."""
        return self.jobs.trail

    @property
    def last_seen(self) -> LastSeen:
        """What was last seen of each tenant, for the metrics."""
        return LastSeen(self.client, self.keys)

    @property
    def job_targets(self) -> JobTargets:
        """What the rows of jobs name, as found in their tenants."""
        return JobTargets(self.client, self.keys)

    def connection(self, name: str) -> Connection:
        """Return a connection by name; the built-in sandbox is found by what it wrote down when it
        started.

        Its tenant is named by its id where this process knows it; what is kept by the tenant wants
        `resolved`. Raises `config.UnknownConnection`, which lists the known ones.
        """
        return self.tenants.named(find_connection(self.settings(), name))

    def is_of_tenant(self, tenant_key: str, connection: str) -> bool:
        """Tell whether a connection still stands for the tenant that its job was accepted for."""
        return self.tenants.is_of(tenant_key, find_connection(self.settings(), connection))

    async def resolved(self, name: str) -> Connection:
        """Return a connection whose tenant is named by its id, under which claims, memory and quota
        are kept.

        Raises `config.UnknownConnection`, `TokenUnavailable` where nobody can tell the id now, and
        redis-py's outages.
        """
        return await self.tenants.resolve(find_connection(self.settings(), name))


def find_connection(settings: Settings, name: str) -> Connection:
    """Return a connection by name, or the running sandbox. Raises `config.UnknownConnection`."""
    try:
        return settings.connection(name)
    except UnknownConnection:
        if name != SANDBOX:
            raise
        from worker.stack.folders import find_folders
        from worker.stack.sandboxed import load_sandbox_connection

        table = load_sandbox_connection(find_folders().sandbox_ready)
        if table is None:
            raise
        return parse_connection(name, table)


def _tenant_key(settings: Settings, tenants: Tenants, connection: str) -> str:
    try:
        return tenants.named(find_connection(settings, split_channel(connection)[0])).tenant_key
    except ConfigError:  # no longer configured
        return ""


@asynccontextmanager
async def open_services(
    settings: Callable[[], Settings],
    redis_url: str,
    *,
    sealed: bool = True,
    redis_timeout_s: float = 15.0,
    actor: str = "",
    problem: Callable[[], str] = lambda: "",
) -> AsyncIterator[Services]:
    """Open everything; nothing connects before it is used. `sealed` False: without the ledger's key
    (reading only).

    `actor`: whom the audit trail names for what is done here; the account of this process where
    nobody is given.
    """
    present = settings()
    async with AsyncExitStack() as stack:
        client = open_client(redis_url, timeout_s=redis_timeout_s)
        stack.push_async_callback(client.aclose)
        keys = Keys(present.ledger.prefix)
        sealer = Keyring(settings).sealer if sealed else no_sealer
        index = GuestIndex(client, keys, sealer)
        tenants = Tenants(client, keys)
        stack.callback(tenants.close)
        audit_log = AuditLog(present.ledger.audit_log) if present.ledger.audit_log else None
        if audit_log is not None:
            stack.callback(audit_log.close)
        trail = Trail(
            client,
            keys,
            keep_s=present.ledger.audit_keep_s,
            actor=actor or find_actor(),
            index=index if sealed or not present.ledger.key else None,  # without its key hashes would be wrong ones
            tenant_key_of=lambda name: _tenant_key(settings(), tenants, name),
            copy=audit_log,
        )
        ledger = Ledger(
            client,
            keys,
            lease_s=present.ledger.lease_s,
            settle_s=present.ledger.settle_s,
            remember_s=present.ledger.remember_s,
            sealer=sealer,
            trail=trail,
        )
        jobs = Jobs(client, keys, keep_s=present.ledger.keep_s, sealer=sealer, trail=trail)
        meters = Meters()
        tokens = TokenSource(TokenShelf(client, keys, sealer) if sealed else None, heard=meters.token_request)
        stack.push_async_callback(tokens.close)
        graph = GraphClient(present.graph.timeout_s, heard=meters.graph_call)
        stack.push_async_callback(graph.close)
        mailroom = Mailroom(settings, graph)
        stack.push_async_callback(mailroom.close)
        yield Services(
            settings=settings,
            client=client,
            keys=keys,
            ledger=ledger,
            jobs=jobs,
            gates=jobs.gates,
            index=index,
            reminders=Reminders(client, keys, index),
            disabled=Disabled(client, keys),
            moving=Moving(client, keys),
            tokens=tokens,
            graph=graph,
            mailroom=mailroom,
            sealer=sealer,
            key_hold=KeyHold(client, keys, index, jobs.gates),
            tenants=tenants,
            meters=meters,
            problem=problem,
        )
