"""Trouble has consequences for a connection: throttled, held, open again. Rows are not touched
here; they wait in the ledger.

Each answers with why the chunk stops, and when it is to be offered again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.errors import TokenRefused, TokenUnavailable
from worker.graph.causes import TENANT_BLOCKED, HoldKind, Verdict
from worker.ledger.gates import WHOLE, Held, HoldReason
from worker.ledger.model import Lane
from worker.ledger.quota import Bucket, throttled_buckets
from worker.ledger.spending import SLOWED
from worker.ledger.stages import split_stage
from worker.ledger.why_waiting import Rest, Stop
from worker.sending.backoff import Backoff
from worker.sending.seat_wait import SeatWait

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.directory.lookups import Found
    from worker.ledger.model import Grant
    from worker.operations.operation import Channel
    from worker.services import Services
    from worker.signin.credentials import AccessToken

log = logging.getLogger(__name__)

_DAILY_LIMIT_S = 60.0  # the limit may have been raised
_OUTDATED_S = 3.0  # leaves the chunks to workers that can sign in
_LATELY_S = 10.0  # what a token of this age says of permissions is believed
_ANEW_S = 0.5  # until a chunk whose token may be outdated is tried with a new one
_NOBODY = "Who is in the tenant already cannot be looked up now, and {unlooked}."
_SOME = "Of some rows nobody can tell now whether their guests are in the tenant already, so these rows wait."
_REFUSED_AGAIN = (
    "Microsoft Graph refuses the access token that Entra has just given; usher tries again, and whoever runs it checks"
    " the connection's tenant id, its cloud and this machine's clock."
)
_HELD_S = 1.0  # a held connection is not due before its gate says so, whatever its chunks say


class Reactions:
    """A process reacts to trouble. What others must know of a reaction is in the ledger."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._throttling = Backoff(
            free_tries=1
        )  # the first time what was taken is paid back, and that says how long to wait
        self._network = Backoff()
        self._directory = Backoff()
        self._told: dict[str, Backoff] = {}  # connection → the kind of trouble that was told of it last
        self.seat_wait = SeatWait()
        self._outdated: set[tuple[str, str]] = set()  # connections and credentials that were complained of

    async def resolve(self, connection: Connection) -> Connection | Stop:
        """Return a connection with its tenant's id, under which claims, memory and quota are kept.
        Where nobody can tell it, rows wait.
        """
        try:
            return await self._services.resolved(connection.name)
        except TokenUnavailable as away:
            return await self._not_signed_in(connection, away)

    async def hold_job_of_another_tenant(self, job: str, connection: str) -> Stop:
        """Hold a job that was accepted for another tenant than its connection stands for now."""
        job = split_stage(job)[0]
        why = (
            f"Connection {connection} stood for another tenant when this job was accepted, so the rest of the job"
            " waits: whoever runs usher looks whether the tenant ids of two connections have changed places. With the"
            f" tenant of before again, usher jobs resume {job} lets it go on; else end it (usher jobs cancel {job})"
            " and submit those rows anew."
        )
        await self._services.gates.hold_job(job, connection, why)
        log.error("job %s: %s", job, why)
        return Stop(Rest.OTHER_TENANT)

    async def take_token(self, connection: Connection) -> AccessToken | Stop:
        """Take an access token. Without one the connection is held, or left alone for a while."""
        try:
            return await self._services.tokens.get(connection)
        except TokenRefused as refused:
            held = await self._hold(connection.name, HoldReason.CREDENTIAL, str(refused), refused.fingerprint)
            wait_s = self._other_works(connection, refused) if held is Held.OTHER_WORKS else _HELD_S
            return Stop(Rest.SIGN_IN, wait_s)
        except TokenUnavailable as away:
            return await self._not_signed_in(connection, away)

    async def _not_signed_in(self, connection: Connection, away: TokenUnavailable) -> Stop:
        wait_s = self._network.failed(connection.name, away.retry_after_s)
        log.warning("connection %s: %s Next try in %.0f s.", connection.name, away, wait_s)
        await self._tell(connection.name, str(away), wait_s, self._network)
        return Stop(Rest.SIGN_IN, wait_s)

    def _other_works(self, connection: Connection, refused: TokenRefused) -> float:
        """Say once that another worker signs in with another credential: the trouble is this
        process's own.
        """
        key = (connection.name, refused.fingerprint)
        if key not in self._outdated:
            self._outdated.add(key)
            log.error(
                "connection %s: the credential that this worker has is refused, but another worker's was good within"
                " the last minute. This one is older, or newer but wrong: whoever runs usher gives this worker the"
                " current one. Others go on. (%s)",
                connection.name,
                refused,
            )
        return _OUTDATED_S

    async def token_refused_by_graph(self, connection: Connection) -> Stop:
        """Forget a token that Graph refuses though Entra has just given it."""
        why = (
            "Microsoft Graph refuses the access token that Entra has just given, so nothing is sent: "
            "whoever runs usher checks the connection's tenant id, its cloud and this machine's clock."
        )
        await self._hold(connection.name, HoldReason.TENANT, why)
        return Stop(Rest.GATE, _HELD_S)

    async def hold(self, channel: Channel, verdict: Verdict, token: AccessToken | None = None) -> Stop:
        """Hold the channel, or its connection as a whole: Graph says that it cannot go on."""
        kind = HoldReason((verdict.hold or HoldKind.TENANT).value)
        if kind is HoldReason.PERMISSION and token:
            # A token tells for its whole life of the permissions that there were when it was
            # issued: the next try takes a new one.
            await self._services.tokens.invalidate(channel.connection, token)
            if (datetime.now(UTC) - token.issued_at).total_seconds() > _LATELY_S:
                return Stop(Rest.GATE, _ANEW_S)
        if kind is HoldReason.ABUSE:
            await self._services.gates.block_tenant(channel.connection.tenant_key, verdict.message)
        name = channel.connection.name if kind in WHOLE else channel.name
        await self._hold(name, kind, verdict.message, verdict=verdict)
        return Stop(Rest.GATE, _HELD_S)

    async def throttled(
        self,
        name: str,
        buckets: Sequence[Bucket],
        verdict: Verdict,
        *,
        refused: int = 1,
        begun_since: int = 0,
        elapsed_s: float = 0.0,
    ) -> Stop:
        """Close what a 429 for so many rows or requests speaks of, and learn from the 429. See
        `Spending.throttled`.
        """
        wait_s = self._throttling.failed(name, verdict.retry_after_s, began_s_ago=elapsed_s)
        wait_s, new = await self._services.ledger.spending.throttled(
            name,
            throttled_buckets(buckets, verdict.throttle_scope),
            wait_s,
            SLOWED,
            refused=refused,
            begun_since=begun_since,
            elapsed_s=elapsed_s,
        )
        if new:
            log.warning(
                "connection %s: throttled by Microsoft (429), next try in %.1f s", name, wait_s, extra=_extra(verdict)
            )
        return Stop(Rest.THROTTLED, wait_s)

    async def away(self, name: str, verdict: Verdict) -> Stop:
        """Stay away: Graph refused before processing, could not be reached, or gave no usable
        answer.
        """
        wait_s = self._network.failed(name, verdict.retry_after_s)
        log.warning("connection %s: %s Next try in %.1f s.", name, verdict.message, wait_s, extra=_extra(verdict))
        await self._tell(name, verdict.message, wait_s, self._network)
        return Stop(Rest.AWAY, wait_s)

    async def cannot_look(self, channel: Channel, found: Found) -> Stop:
        """Let rows wait of which nobody can tell who is in the directory, all of a chunk or some,
        until somebody can.
        """
        delay = found.delay
        assert delay
        if delay.stop.why is not Rest.LOOK_UP:  # whoever waits was told already
            return delay.stop
        verdict = delay.verdict
        name = channel.name
        wait_s = self._directory.failed(name, verdict.retry_after_s if verdict else None)
        said = _REFUSED_AGAIN if delay.refused else verdict.message if verdict else "usher tries again by itself."
        nobody = _NOBODY.format(unlooked=channel.operation.unlooked)
        why = f"{nobody if found.users is None else _SOME} {said}"
        log.warning("connection %s: %s Next try in %.1f s.", name, why, wait_s, extra=_extra(verdict))
        await self._tell(name, why, wait_s, self._directory)
        return Stop(Rest.LOOK_UP, wait_s)

    async def looked(self, name: str) -> None:
        """Forget trouble with the directory: all rows of a chunk could be looked up."""
        await self._over(name, self._directory)

    async def _tell(self, name: str, why: str, wait_s: float, kind: Backoff) -> None:
        self._told[name] = kind
        await self._services.gates.note_trouble(name, why, wait_s)

    async def _over(self, name: str, kind: Backoff) -> None:
        """Forget trouble of one kind, and what was told of it."""
        kind.worked(name)
        if self._told.get(name) is kind:
            del self._told[name]
            await self._services.gates.forget_trouble(name)

    async def worked(self, name: str) -> None:
        """Forget past trouble: Graph carried something out."""
        self._throttling.worked(name)
        await self._over(name, self._network)

    async def answered_again(self, name: str) -> None:
        """Open a held gate: a real row went through."""
        if await self._services.gates.reopen_after_try(name):
            log.info("connection %s works again", name)

    async def refused_to_begin(self, channel: Channel, grant: Grant, lane: Lane) -> Stop | None:
        """Return why a chunk stops of which `begin_batch` let no row go; None when `begin_batch`
        may be asked again.
        """
        assert grant.why
        if grant.why is Rest.QUOTA and lane is Lane.BULK and grant.jobs <= 1:  # several take turns, batch by batch
            wait_s = await self.seat_wait.wait(channel.name, grant.wait_s)
            return None if wait_s is None else Stop(Rest.QUOTA, wait_s)
        if grant.why is Rest.DAILY_LIMIT:
            limit = channel.operation.daily_limit(channel.connection)
            why = (
                f"The daily limit of {limit} {channel.operation.requests} is reached; the rest goes out after midnight"
                " UTC, unless whoever runs usher raises daily_limit of this connection."
            )
            await self._hold(channel.name, HoldReason.DAILY_LIMIT, why, try_s=min(grant.wait_s, _DAILY_LIMIT_S))
        elif grant.why is Rest.TENANT:
            why = TENANT_BLOCKED.format(connection=channel.connection.name)
            await self._hold(channel.connection.name, HoldReason.ABUSE, why)
        return Stop(grant.why, grant.wait_s)

    async def _hold(
        self,
        name: str,
        kind: HoldReason,
        why: str,
        fingerprint: str = "",
        *,
        try_s: float | None = None,
        verdict: Verdict | None = None,
    ) -> Held:
        held = await self._services.gates.hold(name, kind, why, fingerprint=fingerprint, try_s=try_s)
        if held is Held.NEWS:
            log.error("connection %s is held: %s", name, why, extra=_extra(verdict))
        return held


def _extra(verdict: Verdict | None) -> dict[str, str]:
    """Return what Microsoft's support asks for."""
    return {"request_id": verdict.request_id} if verdict and verdict.request_id else {}
