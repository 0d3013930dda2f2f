"""The client is the one place that speaks HTTP to Graph: aiohttp in, fates and answers out.

What matters at this edge is not whether a call failed but whether the request may have *left*: only
that decides if it may be sent again. So every call carries a mark that is set in the moment before
its first byte is written. An exception without the mark is `NOT_SENT`; with it, nothing but a whole
answer counts, all else is `LOST`.
https://learn.microsoft.com/graph/json-batching  https://learn.microsoft.com/graph/throttling
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

import orjson
from tenacity import AsyncRetrying, RetryCallState
from yarl import URL

from config.secrets import Secret
from config.version import read_version
from worker.errors import WayOutUnusable
from worker.graph.batch import NOTE_STALE, Fate, GraphRequest, build_batch
from worker.graph.exchange import Exchange, as_exchange, deal_out
from worker.graph.references import refuse_bare_delete
from worker.graph.reply import Reply, describe_error, read_reply
from worker.graph.retry import READS, REFUSED_ONLY, RetryRule, decide_retry, parse_retry_after
from worker.graph.ways_out import WaysOut

if TYPE_CHECKING:
    import aiohttp

    from config.connections import Connection

Priority = Literal["low", "normal", "high"]
"""`x-ms-throttle-priority`: low is throttled first, high is for what a person waits for."""

KEEPALIVE_S = 20.0
"""Idle time after which we close a connection, below what servers and proxies allow (60 s and
more): a connection that the other side closes while we write is a request in doubt.
"""

CONNECT_S = 10.0
"""For a place in the pool, DNS, TCP, proxy and TLS together. A connection takes a tenth of that, or
it will not come.
"""


@dataclass(slots=True)
class _Sending:
    """The mark: has the request left? Set by the trace just before the first byte is written."""

    before_send: Callable[[], bool] | None
    left: bool = False


class _HeldBack(Exception):
    """The caller's `before_send` said no."""


class GraphClient:
    """One HTTP session for a process and its event loop, opened by the first call. Close it in the
    same loop.
    """

    def __init__(
        self,
        timeout_s: float = 25.0,
        *,
        limit_per_host: int = 1000,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: random.Random | None = None,
        heard: Callable[[Connection, Fate, int], None] | None = None,
    ) -> None:
        """`timeout_s` is for one call with its repetitions, where the call names no other;
        `limit_per_host` bounds connections; `heard` is told of every try: its fate and its status,
        0 where none came.
        """
        self._timeout_s = timeout_s
        self._limit_per_host = limit_per_host
        self._clock = clock
        self._sleep = sleep
        self._chance = chance or random.Random()
        self._heard = heard
        self._session: aiohttp.ClientSession | None = None
        self._ways_out = WaysOut(clock)

    async def send_batch(
        self,
        connection: Connection,
        token: Secret | str,
        requests: Sequence[GraphRequest],
        *,
        priority: Priority,
        deadline_s: float | None = None,
        before_send: Callable[[], bool] | None = None,
        retry: RetryRule | None = None,
    ) -> Exchange:
        """Send up to 20 requests as one JSON batch and pair the answers by id.

        Each answer has a status of its own; one may be 429 inside a 200 envelope. An envelope that
        is refused gives every request its status, with the note `NOTE_WHOLE_BATCH`. Network trouble
        never raises: it is the `fate` of every answer. `before_send` is asked in the moment before
        each write; when it says no, nothing leaves (note `NOTE_STALE`). Repeats by `retry`: reads
        freely, else what was refused before processing. Raises `ValueError` for a batch that
        `build_batch` refuses.
        """
        envelope = orjson.dumps(build_batch(requests))
        reply, tries, elapsed_s = await self._call(
            _HttpCall(connection, token, "POST", "/$batch", {}, priority, envelope),
            deadline_s,
            before_send,
            retry or (READS if all(r.method == "GET" for r in requests) else REFUSED_ONLY),
        )
        return as_exchange(deal_out(requests, reply), reply, tries, elapsed_s)

    async def send_one(
        self,
        connection: Connection,
        token: Secret | str,
        request: GraphRequest,
        *,
        priority: Priority,
        deadline_s: float | None = None,
        before_send: Callable[[], bool] | None = None,
        retry: RetryRule | None = None,
    ) -> Exchange:
        """Send one request as a plain call; like `send_batch` otherwise, with one answer."""
        refuse_bare_delete(request.method, request.path)
        reply, tries, elapsed_s = await self._call(
            _HttpCall(
                connection,
                token,
                request.method,
                request.path,
                request.headers,
                priority,
                None if request.body is None else orjson.dumps(request.body),
            ),
            deadline_s,
            before_send,
            retry or (READS if request.method == "GET" else REFUSED_ONLY),
        )
        return as_exchange({request.id: reply.as_answer()}, reply, tries, elapsed_s)

    async def close(self) -> None:
        """Close the session and its connections. May be called twice; a later call opens a new
        session.
        """
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _call(
        self, call: _HttpCall, deadline_s: float | None, before_send: Callable[[], bool] | None, rule: RetryRule
    ) -> tuple[Reply, int, float]:
        """Try until there is something to stand by; return it with the number of tries and the
        seconds spent.
        """
        limit_s = self._timeout_s if deadline_s is None else deadline_s
        if rule.within_s > limit_s:
            rule = replace(rule, within_s=limit_s)
        policy = _Policy(rule, self._clock, self._chance)
        last: Reply | None = None

        async def attempt() -> Reply:
            nonlocal last
            reply = await self._try(call, max(limit_s - policy.elapsed_s, 0.001), before_send)
            if self._heard is not None:
                self._heard(call.connection, reply.fate, reply.status)
            if reply.note == NOTE_STALE:
                policy.is_over = True
                # Held back only now, after a 429: what Graph said then is worth more than our own
                # silence.
                reply = last or reply
            last = reply
            return reply

        reply = await attempt()  # nearly always enough; what comes below costs a tenth of the call itself
        if policy.wants(reply, 1):
            await self._sleep(policy.next_s)

            def again(state: RetryCallState) -> bool:
                return policy.wants(state.outcome.result(), state.attempt_number + 1)  # type: ignore[union-attr]

            reply = await AsyncRetrying(retry=again, wait=lambda _: policy.next_s, sleep=self._sleep)(attempt)
        return reply, policy.tries, policy.elapsed_s

    async def _try(self, call: _HttpCall, limit_s: float, before_send: Callable[[], bool] | None) -> Reply:
        """Send once. Never raises for what happens on the wire; a cancellation goes through."""
        import aiohttp  # 0.1 s, and only where somebody calls Graph

        request_id = str(uuid.uuid4())
        sending = _Sending(before_send)
        try:
            async with self._open().request(
                call.method,
                call.url,
                data=call.payload,
                headers=call.build_headers(request_id),
                timeout=aiohttp.ClientTimeout(total=limit_s, connect=min(CONNECT_S, limit_s)),
                allow_redirects=False,
                trace_request_ctx=sending,
                **await self._ways_out.find(call.connection),
            ) as response:
                return await read_reply(response, request_id)
        except _HeldBack:
            return Reply(Fate.NOT_SENT, request_id, note=NOTE_STALE)
        except WayOutUnusable as error:
            return Reply(Fate.NOT_SENT, request_id, note=error.sentence)
        except Exception as error:
            if sending.left:  # whatever it was, the rows are on the wire: their fate must not get lost in an exception
                return Reply(Fate.LOST, request_id, note=describe_error(error))
            if isinstance(error, (aiohttp.ClientError, OSError, TimeoutError)):
                self._ways_out.forget()  # a way that led nowhere is looked for anew
                return Reply(Fate.NOT_SENT, request_id, note=describe_error(error))
            raise

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None or self._session.closed:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_on_headers)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, limit_per_host=self._limit_per_host, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=60
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "User-Agent": f"usher/{read_version()}"},
                trace_configs=[trace],
                trust_env=False,  # proxies are `tls.find_proxy`'s: the library's own would send loopback through one
            )
        return self._session


@dataclass(frozen=True, slots=True, repr=False)
class _HttpCall:
    """One HTTP call, the same for every try but for its request id. Without a repr: it holds the
    token.
    """

    connection: Connection
    token: Secret | str
    method: str
    path: str
    headers: Mapping[str, str]
    priority: Priority
    payload: bytes | None

    @property
    def url(self) -> URL:
        return URL(self.connection.graph_url + self.path, encoded=True)

    def build_headers(self, client_request_id: str) -> dict[str, str]:
        token = self.token.reveal() if isinstance(self.token, Secret) else self.token
        headers = {
            **self.headers,
            "Authorization": f"Bearer {token}",
            "x-ms-throttle-priority": self.priority,
            "client-request-id": client_request_id,
            "return-client-request-id": "true",
        }
        if self.payload is not None:
            headers["Content-Type"] = "application/json"
        return headers


class _Policy:
    """`decide_retry` with what it has to remember of one call."""

    def __init__(self, rule: RetryRule, clock: Callable[[], float], chance: random.Random) -> None:
        self._rule = rule
        self._clock = clock
        self._chance = chance
        self._started = clock()
        self.next_s = 0.0
        self.tries = 0
        self.is_over = False

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._started

    def wants(self, reply: Reply, tries: int) -> bool:
        """Whether to send again after so many tries; `next_s` then says when."""
        self.tries = tries
        if self.is_over:
            return False
        wait_s = decide_retry(
            self._rule,
            fate=reply.fate,
            status=reply.status,
            retry_after_s=parse_retry_after(reply.headers),
            attempt=tries,
            elapsed_s=self.elapsed_s,
            chance=self._chance.random(),
        )
        self.next_s = wait_s or 0.0
        return wait_s is not None


async def _on_headers(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    """Run between the connection being there and the first byte on it; an exception here stops the
    write.
    """
    sending: _Sending = context.trace_request_ctx
    if sending.before_send is not None and not sending.before_send():
        raise _HeldBack
    sending.left = True
