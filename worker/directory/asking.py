"""Somebody who waits for a plan or a dry run asks a tenant: reads in batches, within the quota,
again where Graph is busy.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.directory.reader import LONGEST_WAIT_S, WAITS_S, Asker
from worker.directory.spared import read_again, read_spared_groups
from worker.graph.batch import BATCH_LIMIT, GraphAnswer, GraphRequest
from worker.graph.causes import Kind, Verdict
from worker.graph.verdicts import READ_GROUPS, decide
from worker.ledger.quota import read_buckets, sign_in_buckets
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import CannotAsk

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.ledger.guests.disabled import Disabled
    from worker.ledger.guests.moving import Moving
    from worker.ledger.guests.reminders import Reminders
    from worker.ledger.model import KnownRow
    from worker.ledger.quota import Bucket
    from worker.operations.clean.policy import Spared
    from worker.services import Services
    from worker.signin.credentials import AccessToken

_SETTLED = (Kind.OK, Kind.DONE, Kind.FAILED)
"""An answer that is one: what was asked for, or that it is not there, or may not be read."""


class LedgerAsk(ABC):
    """Whoever asks one tenant for a root job knows what the ledger remembers of its guests: all of
    `operations.ask.Ask` but the calls themselves.
    """

    def __init__(self, services: Services, connection: Connection, job: str) -> None:
        self.job = job
        self._services = services
        self._connection = connection
        self._buckets = read_buckets(services.settings(), connection)

    @property
    def reminders(self) -> Reminders:
        """Who was reminded, and when."""
        return self._services.reminders

    @property
    def disabled(self) -> Disabled:
        """Whom usher has disabled."""
        return self._services.disabled

    @property
    def moving(self) -> Moving:
        """Who has a new address and was not reset yet."""
        return self._services.moving

    @property
    def now(self) -> datetime:
        """The present, on Redis's clock."""
        return datetime.fromtimestamp(self._services.clocks.redis_ms() / 1000, UTC)

    @property
    def sign_in_quota(self) -> Sequence[Bucket]:
        """What requests for dates of signing in take from."""
        return sign_in_buckets(self._services.settings(), self._connection)

    async def find_invited(self, emails: Mapping[int, str]) -> Mapping[int, KnownRow]:
        """Return when some guests were invited lately, by whatever job. Raises `SealError`."""
        if not emails:
            return {}
        place = await self._services.index.place(self._connection.tenant_key, emails)
        return {known.index: known for known in await self._services.ledger.find_invited(place, list(emails))}

    async def find_spared(self) -> tuple[Spared, str]:
        """Return whom the settings spare now, or why nobody can tell. Raises `CannotAsk`."""
        groups = await read_spared_groups(self, self._connection)
        return await asyncio.to_thread(read_again, self._connection, groups)

    @abstractmethod
    async def get(
        self, requests: Sequence[GraphRequest], buckets: Sequence[Bucket] | None = None
    ) -> Mapping[str, GraphAnswer]:
        """Return Graph's answers to some reads, by the requests' ids. Raises `CannotAsk`."""


class PatientAsk(LedgerAsk):
    """Asks one tenant for a root job, and tries again for half a minute. Holds no gate, and changes
    nothing in the tenant.
    """

    def __init__(self, services: Services, connection: Connection, job: str) -> None:
        super().__init__(services, connection, job)
        self._asker = Asker(services, connection)

    async def get(
        self, requests: Sequence[GraphRequest], buckets: Sequence[Bucket] | None = None
    ) -> Mapping[str, GraphAnswer]:
        """Return Graph's answers by the requests' ids. Raises `CannotAsk` where one of them got
        none, and `TokenRefused`.
        """
        paid = self._buckets if buckets is None else buckets
        answers: dict[str, GraphAnswer] = {}
        left = list(requests)
        for own_wait_s in (*WAITS_S, 0.0):
            wait_s = await self._services.ledger.spending.take(paid, len(left))
            token = await self._asker.take_token(self._connection)
            if not wait_s and not isinstance(token, Stop):
                verdict = await self._try(token, left, answers)
                left = [request for request in left if request.id not in answers]
                if not left:
                    return answers
                wait_s = await self._react(token, verdict, paid)
            if own_wait_s:
                await asyncio.sleep(min(max(wait_s, own_wait_s), LONGEST_WAIT_S))
        raise CannotAsk(Stop(Rest.AWAY))

    async def _try(
        self, token: AccessToken, requests: Sequence[GraphRequest], answers: dict[str, GraphAnswer]
    ) -> Verdict | None:
        """Ask once, and keep what is an answer. Returns what another one means."""
        other: Verdict | None = None
        for start in range(0, len(requests), BATCH_LIMIT):
            part = requests[start : start + BATCH_LIMIT]
            exchange = await self._services.graph.send_batch(self._connection, token.secret, part, priority="normal")
            for request in part:
                answer = exchange.answers[request.id]
                verdict = decide(READ_GROUPS, answer)
                if verdict.kind in _SETTLED:
                    answers[request.id] = answer
                else:
                    other = verdict
        return other

    async def _react(self, token: AccessToken, verdict: Verdict | None, buckets: Sequence[Bucket]) -> float:
        """Return how long to wait, in seconds."""
        if verdict is None:
            return 0.0
        if verdict.kind is Kind.TOKEN:
            await self._services.tokens.invalidate(self._connection, token)
        elif verdict.kind is Kind.THROTTLED:
            return (await self._asker.throttled(self._connection.name, buckets, verdict)).wait_s
        return verdict.retry_after_s or 0.0
