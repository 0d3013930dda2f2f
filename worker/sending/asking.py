"""A worker asks a tenant what an operation wants to know before it sends: the token, the quota, the
call; whoever cannot be asked now is asked later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.directory.invited import find_invited
from worker.directory.spared import read_again, read_spared_groups
from worker.graph.batch import BATCH_LIMIT, Fate
from worker.graph.causes import Kind
from worker.graph.verdicts import READ_USERS, decide
from worker.ledger.model import Lane
from worker.ledger.quota import read_buckets, sign_in_buckets
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import CannotAsk

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.directory.lookups import Reacts
    from worker.graph.batch import GraphAnswer, GraphRequest
    from worker.ledger.guests.disabled import Disabled
    from worker.ledger.guests.moving import Moving
    from worker.ledger.guests.reminders import Reminders
    from worker.ledger.model import KnownRow
    from worker.ledger.quota import Bucket
    from worker.operations.clean.policy import Spared
    from worker.services import Services
    from worker.signin.credentials import AccessToken

_LATER_S = 5.0
"""After no usable answer; Graph's Retry-After, where it gives one, is longer."""
_REFILL_S = 1.0
"""At least so long for more tokens: whoever comes back looks its guests up anew, and sooner than
this it would spend on that, for ever, what has come in.
"""


class DirectoryAsk:
    """Asks for one root job, of one connection; `operation.Ask`."""

    def __init__(
        self, services: Services, connection: Connection, reacts: Reacts, job: str, lane: Lane = Lane.BULK
    ) -> None:
        self.job = job
        self._services = services
        self._connection = connection
        self._reacts = reacts
        self._lane = lane
        self._buckets = read_buckets(services.settings(), connection)
        self.token: AccessToken | None = None
        """That was asked with last."""

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
        return await find_invited(self._services, self._connection, emails)

    async def find_spared(self) -> tuple[Spared, str]:
        """Return whom the connection's settings spare now, or why nobody can tell. Raises
        `CannotAsk`.
        """
        groups = await read_spared_groups(self, self._connection)
        return await asyncio.to_thread(read_again, self._connection, groups)

    async def get(
        self, requests: Sequence[GraphRequest], buckets: Sequence[Bucket] | None = None
    ) -> Mapping[str, GraphAnswer]:
        """Return Graph's answers by the requests' ids. Raises `CannotAsk`, and redis-py's
        outages.
        """
        paid = self._buckets if buckets is None else buckets
        answers: dict[str, GraphAnswer] = {}
        for start in range(0, len(requests), BATCH_LIMIT):
            part = requests[start : start + BATCH_LIMIT]
            if not await self._call(part, answers, paid) and not await self._call(part, answers, paid):
                raise CannotAsk(Stop(Rest.SIGN_IN, _LATER_S))
        return answers

    async def _call(
        self, part: Sequence[GraphRequest], answers: dict[str, GraphAnswer], buckets: Sequence[Bucket]
    ) -> bool:
        """Ask once. False: the token was refused."""
        services, connection = self._services, self._connection
        self.token = token = await self._take(len(part), buckets)
        exchange = await services.graph.send_batch(
            connection, token.secret, part, priority="normal", deadline_s=services.settings().graph.timeout_s
        )
        services.clocks.learn_graph(connection.graph_url, exchange.server_date)
        services.meters.answers(connection.name, "read", exchange.answers.values())
        verdicts = {name: decide(READ_USERS, answer) for name, answer in exchange.answers.items()}
        throttled = [verdict for verdict in verdicts.values() if verdict.kind is Kind.THROTTLED]
        if throttled:
            longest = max(throttled, key=lambda verdict: verdict.retry_after_s or 0)
            raise CannotAsk(await self._reacts.throttled(connection.name, buckets, longest, refused=len(throttled)))
        if any(verdict.kind is Kind.TOKEN for verdict in verdicts.values()):
            await services.tokens.invalidate(connection, token)
            return False
        for name, verdict in verdicts.items():
            answer = exchange.answers[name]
            if answer.fate is not Fate.ANSWERED or answer.status >= 500 or verdict.kind is Kind.RETRY:
                raise CannotAsk(Stop(Rest.LOOK_UP, max(_LATER_S, verdict.retry_after_s or 0)))
        answers |= exchange.answers
        return True

    async def _take(self, requests: int, buckets: Sequence[Bucket]) -> AccessToken:
        token = await self._reacts.take_token(self._connection)
        if isinstance(token, Stop):
            raise CannotAsk(token)
        wait_s = await self._services.ledger.spending.take(buckets, requests, self._lane)
        if wait_s:
            raise CannotAsk(Stop(Rest.QUOTA, max(_REFILL_S, wait_s)))
        return token
