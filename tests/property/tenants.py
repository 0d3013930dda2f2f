"""A tenant that a test plays: what reaches Graph waits until the test says what becomes of it.
Nothing here knows of usher's ledger.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from worker.graph.batch import Fate, GraphAnswer, GraphRequest, answer_all
from worker.graph.exchange import Exchange

_QUOTED = re.compile(r"'([^']*)'")


class Answered(StrEnum):
    """What becomes of a request, or of each row of a batch."""

    WELL = "well"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"  # 503 without a word when to come back
    TOKEN = "token"
    LOST_BEFORE = "lost_before"  # nothing was carried out, and nobody hears
    LOST_AFTER = "lost_after"
    BAD_ADDRESS = "bad_address"


READS = (Answered.THROTTLED, Answered.UNAVAILABLE, Answered.TOKEN, Answered.LOST_BEFORE)
"""What may go wrong with a read."""
INVITES = (Answered.THROTTLED, Answered.LOST_BEFORE, Answered.LOST_AFTER, Answered.BAD_ADDRESS)
"""What may become of an invitation besides that all is well."""

_REFUSALS: dict[Answered, tuple[int, str, str]] = {
    Answered.THROTTLED: (429, "TooManyRequests", "Slow down."),
    Answered.UNAVAILABLE: (503, "ServiceUnavailable", "Away."),
    Answered.TOKEN: (401, "InvalidAuthenticationToken", "Access token is empty."),
    Answered.BAD_ADDRESS: (400, "BadRequest", "The invited user email address is not valid."),
}


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest who has not accepted: one whom Graph mails as often as it is asked to."""

    created_ms: int
    visible_ms: int


@dataclass(eq=False, slots=True)
class Call:
    """Requests on the wire."""

    requests: list[GraphRequest]
    answers: asyncio.Future[dict[str, GraphAnswer]]
    worker: asyncio.Task[Any]

    @property
    def reads(self) -> bool:
        """Whether it looks people up."""
        return self.requests[0].method == "GET"


_worker: ContextVar[asyncio.Task[Any]] = ContextVar("worker")


def start_worker(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin some work of a worker; what it sends, by whichever task of its own, is known by the
    task that is returned.
    """

    async def run() -> Any:
        task = asyncio.current_task()
        assert task is not None
        _worker.set(task)
        return await work

    return asyncio.create_task(run())


@dataclass
class PlayedTenant:
    """Stands in the place of the Graph client. `now_ms`: the clock of everything; `mailed`: called
    with address and display name.
    """

    now_ms: Callable[[], int]
    mailed: Callable[[str, str, bool], None]
    guests: dict[str, Guest] = field(default_factory=dict)
    wire: list[Call] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send_batch(
        self, connection: object, token: object, requests: Sequence[GraphRequest], **told: Any
    ) -> Exchange:
        """Put requests on the wire and wait for what becomes of them."""
        may_leave = told.get("before_send")
        if may_leave is not None and not may_leave():
            return self._exchange(answer_all(requests, GraphAnswer(Fate.NOT_SENT, note="stale mark")))
        call = Call(list(requests), asyncio.get_running_loop().create_future(), _worker.get())
        self.wire.append(call)
        self.changed.set()
        return self._exchange(await call.answers)

    async def send_one(self, connection: object, token: object, request: GraphRequest, **told: Any) -> Exchange:
        """The same for one."""
        return await self.send_batch(connection, token, [request], **told)

    def answer(self, call: Call, fates: Sequence[Answered], *, lag_ms: int = 0) -> None:
        """Let a call arrive and its answer come back; a fate for each request."""
        self.wire.remove(call)
        answers = {r.id: self._carry_out(r, fate, lag_ms) for r, fate in zip(call.requests, fates, strict=True)}
        if not call.answers.done():
            call.answers.set_result(answers)

    def _carry_out(self, request: GraphRequest, fate: Answered, lag_ms: int) -> GraphAnswer:
        if fate in _REFUSALS:
            status, code, message = _REFUSALS[fate]
            return GraphAnswer(Fate.ANSWERED, status, body={"error": {"code": code, "message": message}})
        if fate is Answered.LOST_BEFORE:
            return GraphAnswer(Fate.LOST, note="lost")
        body = self._read(request) if request.method == "GET" else self._invite(request.body or {}, lag_ms)
        if fate is Answered.LOST_AFTER:
            return GraphAnswer(Fate.LOST, note="lost")
        return GraphAnswer(Fate.ANSWERED, 201 if request.body else 200, body=body)

    def _read(self, request: GraphRequest) -> dict[str, Any]:
        asked, now = set(_QUOTED.findall(unquote(request.path))), self.now_ms()
        found = [address for address, guest in self.guests.items() if address in asked and guest.visible_ms <= now]
        return {"value": [self._show(address) for address in found]}

    def _show(self, address: str) -> dict[str, Any]:
        created_at = datetime.fromtimestamp(self.guests[address].created_ms // 1000, UTC)
        return {
            "id": f"id-{address}",
            "mail": address,
            "userType": "Guest",
            "accountEnabled": True,
            "createdDateTime": created_at.isoformat(),
            "externalUserState": "PendingAcceptance",
        }

    def _invite(self, body: dict[str, Any], lag_ms: int) -> dict[str, Any]:
        address, now = str(body["invitedUserEmailAddress"]), self.now_ms()
        self.mailed(address, str(body["invitedUserDisplayName"]), address in self.guests)
        self.guests.setdefault(address, Guest(now, now + lag_ms))
        link = {"inviteRedeemUrl": f"https://redeem.example/{address}"}
        return {"id": f"i-{now}", **link, "invitedUser": {"id": f"id-{address}"}, "status": "PendingAcceptance"}

    def _exchange(self, answers: dict[str, GraphAnswer]) -> Exchange:
        date = datetime.fromtimestamp(self.now_ms() // 1000, UTC)
        return Exchange(answers, "played", date, 0.01, 200)
