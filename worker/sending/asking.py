"""A worker asks a tenant what an operation wants to know before it sends: the token, the quota, the
call; whoever cannot be asked now is asked later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from worker.directory.asking import LedgerAsk
from worker.graph.batch import BATCH_LIMIT, Fate
from worker.graph.causes import Kind
from worker.graph.verdicts import READ_USERS, decide
from worker.ledger.model import Lane
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import CannotAsk

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.directory.lookups import Reacts
    from worker.graph.batch import GraphAnswer, GraphRequest
    from worker.ledger.quota import Bucket
    from worker.services import Services
    from worker.signin.credentials import AccessToken

_LATER_S = 5.0
"""After no usable answer; Graph's Retry-After, where it gives one, is longer."""
_REFILL_S = 1.0
"""At least so long for more tokens: whoever comes back looks its guests up anew, and sooner than
this it would spend on that, for ever, what has come in.
"""


class DirectoryAsk(LedgerAsk):
    """Asks for one root job, of one connection; `operation.Ask`."""

    def __init__(
        self, services: Services, connection: Connection, reacts: Reacts, job: str, lane: Lane = Lane.BULK
    ) -> None:
        super().__init__(services, connection, job)
        self._reacts = reacts
        self._lane = lane
        self.token: AccessToken | None = None
        """That was asked with last."""

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
