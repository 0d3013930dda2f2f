"""A dry run reads from a tenant what it wants to know: one question after the other, within the
quota, waiting where Graph says so.

A read that is refused with 403 is an answer too: it says which permission would let us look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.errors import TokenUnavailable
from worker.graph.batch import GraphAnswer, GraphRequest
from worker.graph.causes import Kind, OperationRules, Verdict
from worker.graph.verdicts import READ_POLICY, decide
from worker.ledger.quota import Bucket, read_buckets, throttled_buckets
from worker.ledger.spending import SLOWED
from worker.ledger.why_waiting import Rest, Stop

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services
    from worker.signin.credentials import AccessToken

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Between the tries of one question, where Graph does not say how long."""
LONGEST_WAIT_S = 60.0
"""A longer Retry-After is not waited for by somebody who only looks."""
_MOST_PAGES = 100  # of one collection: 99,900 deleted users


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read. `may_not`: for want of a permission; else Graph did not answer, and
    `said` tells how.
    """

    may_not: bool
    said: str = ""
    code: str = ""  # Graph's, where Graph refused


class Asker:
    """Asks one tenant. Holds no gate, and changes nothing in the tenant."""

    def __init__(self, services: Services, connection: Connection, buckets: Sequence[Bucket] | None = None) -> None:
        """`buckets`: what a question takes from, where it is not what other reads do; the caller
        has taken it already.
        """
        self._services = services
        self._connection = connection
        self._is_paid = buckets is not None
        self._buckets = read_buckets(services.settings(), connection) if buckets is None else buckets

    async def take_token(self, connection: Connection) -> AccessToken | Stop:
        """Take an access token, or say when to try again. Raises `TokenRefused`."""
        try:
            return await self._services.tokens.get(connection)
        except TokenUnavailable as away:
            return Stop(Rest.SIGN_IN, away.retry_after_s or WAITS_S[0])

    async def throttled(
        self, name: str, buckets: Sequence[Bucket], verdict: Verdict, *, refused: int = 1, elapsed_s: float = 0.0
    ) -> Stop:
        """A 429: everybody who shares the quota is told, as by a worker."""
        wait_s, _ = await self._services.ledger.spending.throttled(
            name,
            throttled_buckets(buckets, verdict.throttle_scope),
            min(verdict.retry_after_s or WAITS_S[1], LONGEST_WAIT_S),
            SLOWED,
            refused=refused,
            elapsed_s=elapsed_s,
        )
        return Stop(Rest.THROTTLED, wait_s)

    async def read(self, path: str, rules: OperationRules = READ_POLICY, *, version: str = "") -> Any | Unread:
        """Return the body of a GET. `version`: of Graph, where it is not the connection's."""
        return await self.ask(GraphRequest("1", "GET", path), rules, version=version)

    async def ask(
        self, request: GraphRequest, rules: OperationRules = READ_POLICY, *, version: str = ""
    ) -> Any | Unread:
        """The same for a request with headers of its own."""
        there = self._connection
        if version:
            there = there.model_copy(update={"graph_url": f"{there.graph_url.rpartition('/')[0]}/{version}"})
        said = "no access token could be had"
        for own_wait_s in (*WAITS_S, 0.0):
            wait_s = 0.0 if self._is_paid else await self._services.ledger.spending.take(self._buckets, 1)
            token = await self.take_token(self._connection)
            if not wait_s and not isinstance(token, Stop):
                exchange = await self._services.graph.send_one(there, token.secret, request, priority="normal")
                answer = exchange.answers[request.id]
                verdict = decide(rules, answer)
                if verdict.kind is Kind.OK:
                    return answer.body
                if verdict.kind is Kind.FAILED:
                    return Unread(verdict.cause == "may_not_read", _describe(answer, verdict), verdict.code)
                said = _describe(answer, verdict)
                if verdict.kind is Kind.TOKEN:
                    await self._services.tokens.invalidate(self._connection, token)
                elif verdict.kind is Kind.THROTTLED:
                    wait_s = (await self.throttled(self._connection.name, self._buckets, verdict)).wait_s
                else:
                    wait_s = verdict.retry_after_s or 0.0
            if own_wait_s:
                await asyncio.sleep(min(max(wait_s, own_wait_s), LONGEST_WAIT_S))
        return Unread(False, said)

    async def read_all(
        self, path: str, rules: OperationRules = READ_POLICY, *, version: str = ""
    ) -> list[Any] | Unread:
        """Return all values of a collection, page after page."""
        values: list[Any] = []
        for _ in range(_MOST_PAGES):
            body = await self.read(path, rules, version=version)
            if isinstance(body, Unread):
                return body
            page = body.get("value")
            values += page if isinstance(page, list) else []
            following = self.following(body, version)
            if not isinstance(following, str) or not following:
                return following or values
            path = following
        return Unread(False, f"it holds more than {_MOST_PAGES} pages")

    def following(self, body: Any, version: str = "") -> str | Unread:
        """Return the path of the page after this one, '' where there is none."""
        link = body.get("@odata.nextLink")
        if not isinstance(link, str):
            return ""
        # Only what stands behind the version: the token goes nowhere but to the connection's own
        # Graph
        _, found, rest = link.partition(f"/{version or self._connection.graph_url.rpartition('/')[2]}/")
        return f"/{rest}" if found else Unread(False, "it answered with a page that leads elsewhere")


def _describe(answer: GraphAnswer, verdict: Verdict) -> str:
    return f"status {answer.status}" if answer.status else verdict.message
