"""The directory is asked who is there: the token, the quota, the call, and what to make of it when
nobody can tell.

One odd address must not blind us for all that are asked about with it: a question that is refused
is asked again in halves, a few rounds at most. Only 403 means that the app may not read. Of an
address that is refused even alone (400, in either of the two ways to ask) nobody can tell whether
it is there: not found proves nothing then, so it is treated as where the app may not read. What was
throttled, lost, answered with 5xx, or refused with a fresh token too, is asked again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from worker.directory.role_guard import RoleGuards
from worker.directory.whole_bin import list_deleted
from worker.graph.batch import BATCH_LIMIT, NOTE_WHOLE_BATCH, Fate
from worker.graph.causes import Kind, Verdict
from worker.graph.users import (
    READ_ROLES,
    DirectoryUser,
    Place,
    Question,
    add_user,
    build_questions,
    build_requests,
    read_users,
)
from worker.graph.verdicts import READ_USERS, decide
from worker.ledger.model import Lane
from worker.ledger.quota import Bucket, read_buckets
from worker.ledger.why_waiting import Rest, Stop

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer
    from worker.services import Services
    from worker.signin.credentials import AccessToken

_ROUNDS = 5
"""Times that one look-up asks at most: halving 7 addresses to a single one takes three more than
the first; one for a refused token.
"""
_MOST_UNSHOWN = 100_000
_LONGEST_UNSHOWN_S = 60.0
_SERVICE = frozenset({503})
"""Statuses that speak of the service, not of an address: halves would add to its load."""


class WhyNot(StrEnum):
    """Why nobody could tell who is there."""

    MAY_NOT = "may_not"  # the app may not read users, or Graph refuses to look this address up
    LATER = "later"  # no token, no quota, no answer: ask again


@dataclass(frozen=True, slots=True)
class Delay:
    """Why some question is to be asked later. Of no token, no quota and 429 whoever waits was told
    already, and for how long.
    """

    stop: Stop
    refused: bool = False  # Graph refuses fresh tokens too
    verdict: Verdict | None = None  # of an answer


@dataclass(frozen=True, slots=True)
class Found:
    """The users found, by folded address or id, as asked for; or None, and why. `unknown`: those
    whose absence proves nothing, and why.
    """

    users: dict[str, DirectoryUser] | None = field(default=None, repr=False)
    why_not: WhyNot | None = None
    unknown: Mapping[str, WhyNot] = field(default_factory=dict, repr=False)
    delay: Delay | None = None  # where any is to be asked for later

    def why_not_of(self, address: str) -> WhyNot | None:
        """Why nobody could tell whether this folded address is there; None: it was asked for."""
        return self.why_not or self.unknown.get(address)


@dataclass(slots=True)
class _Round:
    """What the answers of one call come to."""

    place: Place
    users: dict[str, DirectoryUser] = field(default_factory=dict)
    # To be asked in halves, else for this reason unknown
    refused: list[tuple[Question, WhyNot]] = field(default_factory=list)
    later: list[Question] = field(default_factory=list)
    away: Verdict | None = None  # of a question that nobody answered
    throttled: Verdict | None = None
    refused_units: int = 0
    token_refused: bool = False
    may_not: bool = False
    answered: bool = False  # at least one question was


class Unshown:
    """Guests whom the directory did not show when a process looked last: for all that wait for
    them one look is enough.
    """

    def __init__(self) -> None:
        self._until_ms: dict[tuple[str, str], float] = {}

    def note(self, tenant: str, guest: str, now_ms: int, wait_s: float) -> None:
        """Remember that nobody looks for a tenant's guest, by id or address, for so long."""
        self._until_ms.pop((tenant, guest), None)
        self._until_ms[tenant, guest] = now_ms + wait_s * 1000
        if len(self._until_ms) > _MOST_UNSHOWN:
            del self._until_ms[next(iter(self._until_ms))]

    def left_s(self, tenant: str, guest: str, now_ms: int) -> float:
        """Return for how long nobody looks; 0: now. A clock that was put back is not waited for."""
        left_s = (self._until_ms.get((tenant, guest), 0.0) - now_ms) / 1000
        return left_s if 0 < left_s <= _LONGEST_UNSHOWN_S else 0.0


class Reacts(Protocol):
    """What is to happen without a token, and when Graph throttles (`Reactions`)."""

    async def take_token(self, connection: Connection) -> AccessToken | Stop: ...

    async def throttled(
        self, name: str, buckets: Sequence[Bucket], verdict: Verdict, *, refused: int = 1, elapsed_s: float = 0.0
    ) -> Stop: ...


class LookUps:
    """Look-ups of one process."""

    def __init__(self, services: Services, reactions: Reacts) -> None:
        self._services = services
        self._reactions = reactions
        self.unshown = Unshown()
        self.guards = RoleGuards()
        self._allowed: dict[str, bool] = {}  # connection → whether Graph let us read users when last asked

    def may_read(self, connection: Connection, token: AccessToken) -> bool:
        """Whether rows of this connection can be looked up: the token's roles say so, else Graph
        did. Not known: it is to be tried.
        """
        return may_try(token) if token.roles is not None else self._allowed.get(connection.name, True)

    async def find(
        self,
        connection: Connection,
        guests: Sequence[str],
        lane: Lane = Lane.BULK,
        more: Sequence[str] = (),
        *,
        bin_too: bool = False,
    ) -> Found:
        """Look up to `users.MOST_ADDRESSES` folded addresses or ids up, mostly at once. `more`:
        properties to be read besides; `bin_too`: who is not there is looked for among those who
        were deleted. Raises redis-py's outages only.
        """
        there = await self._find(connection, guests, lane, more, Place.DIRECTORY)
        absent = [] if there.users is None else [who for who in guests if who not in there.users]
        absent = [who for who in absent if there.why_not_of(who) is None] if bin_too else []
        if not absent:
            return there
        found = _join(there, absent, await self._find(connection, absent, lane, more, Place.BIN))
        refused = [who for who in absent if who not in (found.users or {}) and found.why_not_of(who) is WhyNot.MAY_NOT]
        listed = await list_deleted(self._services, connection, refused, more) if refused else None
        if listed is None:
            return found
        unknown = {who: why for who, why in found.unknown.items() if who not in refused}
        return replace(found, users={**(found.users or {}), **listed}, unknown=unknown)

    async def _find(
        self, connection: Connection, guests: Sequence[str], lane: Lane, more: Sequence[str], place: Place
    ) -> Found:
        if not guests:
            return Found({})
        services = self._services
        buckets = read_buckets(services.settings(), connection)
        users: dict[str, DirectoryUser] = {}
        unknown: dict[str, WhyNot] = {}
        delay: Delay | None = None
        asked = build_questions(guests)
        refused_tokens = 0
        for left in range(_ROUNDS - 1, -1, -1):
            token = await self._take(connection, buckets, len(asked), lane)
            if token is None:
                return Found(why_not=WhyNot.MAY_NOT)
            if isinstance(token, Delay):
                delay = token
                break
            asked_s = asyncio.get_running_loop().time()
            answered = await self._ask(connection, token, asked, more, place)
            if answered.token_refused:
                await services.tokens.invalidate(connection, token)
                refused_tokens += 1
                if refused_tokens > 1:
                    delay = Delay(Stop(Rest.LOOK_UP), refused=True)
                    break
                continue
            if answered.may_not:
                return Found(why_not=WhyNot.MAY_NOT)
            users |= answered.users
            _add(unknown, answered.later, WhyNot.LATER)
            if answered.away:
                delay = Delay(Stop(Rest.LOOK_UP), verdict=answered.away)
            if answered.throttled:
                elapsed_s = asyncio.get_running_loop().time() - asked_s
                stop = await self._reactions.throttled(
                    connection.name, buckets, answered.throttled, refused=answered.refused_units, elapsed_s=elapsed_s
                )
                delay = Delay(stop)
            asked = _halve(answered, unknown) if left else []
            if not asked:
                for question, why in answered.refused:
                    _add(unknown, [question], why)
                break
        _add(unknown, asked, WhyNot.LATER)
        return _end(guests, users, unknown, delay)

    async def _take(
        self, connection: Connection, buckets: Sequence[Bucket], questions: int, lane: Lane
    ) -> AccessToken | Delay | None:
        """Take a token, and quota for so many questions. None: the app may not ask any."""
        token = await self._reactions.take_token(connection)
        if isinstance(token, Stop):
            return Delay(token)
        if not may_try(token):
            return None
        wait_s = await self._services.ledger.spending.take(buckets, questions, lane)
        return Delay(Stop(Rest.QUOTA, wait_s)) if wait_s else token

    async def _ask(
        self, connection: Connection, token: AccessToken, asked: Sequence[Question], more: Sequence[str], place: Place
    ) -> _Round:
        """Ask all questions at once, as many in one `$batch` as it takes."""
        found = _Round(place)
        async with asyncio.TaskGroup() as calls:
            for start in range(0, len(asked), BATCH_LIMIT):
                calls.create_task(self._call(connection, token, asked[start : start + BATCH_LIMIT], found, more))
        if found.may_not or found.answered:
            self._allowed[connection.name] = not found.may_not
        return found

    async def _call(
        self, connection: Connection, token: AccessToken, asked: Sequence[Question], found: _Round, more: Sequence[str]
    ) -> None:
        services = self._services
        requests = build_requests(asked, more, found.place)
        exchange = await services.graph.send_batch(
            connection, token.secret, requests, priority="normal", deadline_s=services.settings().graph.timeout_s
        )
        services.clocks.learn_graph(connection.graph_url, exchange.server_date)
        services.meters.answers(connection.name, "read", exchange.answers.values())
        for question, request in zip(asked, requests, strict=True):
            _read(found, question, exchange.answers[request.id], more)


def _read(found: _Round, question: Question, answer: GraphAnswer, more: Sequence[str]) -> None:
    """Sort one answer."""
    users = read_users(answer, question.by, more, found.place)
    if users is not None:
        found.answered = True
        for address, user in users.items():
            add_user(found.users, address, user)
        return
    verdict = decide(READ_USERS, answer)
    if verdict.kind is Kind.TOKEN:
        found.token_refused = True
    elif verdict.cause == "may_not_read":
        found.may_not = True
    elif verdict.kind is Kind.THROTTLED:
        found.refused_units += 1
        if not found.throttled or (verdict.retry_after_s or 0) > (found.throttled.retry_after_s or 0):
            found.throttled = verdict
        found.later.append(question)
    elif verdict.kind is Kind.FAILED and answer.note != NOTE_WHOLE_BATCH:
        found.refused.append((question, WhyNot.MAY_NOT))
    else:
        if not found.away or (verdict.retry_after_s or 0) > (found.away.retry_after_s or 0):
            found.away = verdict
        if answer.fate is not Fate.ANSWERED or answer.note == NOTE_WHOLE_BATCH or answer.status in _SERVICE:
            found.later.append(question)  # nobody answered, or not this question
        else:
            found.refused.append((question, WhyNot.LATER))


def _halve(answered: _Round, unknown: dict[str, WhyNot]) -> list[Question]:
    """Return what to ask next in place of what was refused; what can or should not be asked in
    halves is unknown.
    """
    halves: list[Question] = []
    for question, why in answered.refused:
        parts = () if answered.throttled else question.halves()
        if parts and len(halves) + len(parts) <= BATCH_LIMIT:
            halves += parts
        else:
            _add(unknown, [question], why)
    return halves


def _add(unknown: dict[str, WhyNot], questions: Sequence[Question], why: WhyNot) -> None:
    """Note that nobody can tell of these addresses; one that can be asked for later is."""
    for question in questions:
        for address in question.guests:
            if unknown.get(address) is not WhyNot.LATER:
                unknown[address] = why


def _end(
    addresses: Sequence[str], users: dict[str, DirectoryUser], unknown: dict[str, WhyNot], delay: Delay | None
) -> Found:
    """Return what came out of a look-up; where that is nothing at all, why."""
    later = WhyNot.LATER in unknown.values()
    delay = (delay or Delay(Stop(Rest.LOOK_UP))) if later else None
    if users or set(addresses) - set(unknown):
        return Found(users, unknown=unknown, delay=delay)
    return Found(why_not=WhyNot.LATER if later else WhyNot.MAY_NOT, delay=delay)


def _join(there: Found, absent: Sequence[str], binned: Found) -> Found:
    """Return what both look-ups found. Of whom the bin tells nothing, nobody can tell."""
    unknown = {who: why for who in absent if (why := binned.why_not_of(who))}
    return replace(
        there,
        users={**(there.users or {}), **(binned.users or {})},
        unknown={**there.unknown, **unknown},
        delay=there.delay or binned.delay,
    )


def may_try(token: AccessToken) -> bool:
    """Whether asking makes sense: the token's roles are a hint; without them Graph says."""
    return token.roles is None or bool(token.roles & READ_ROLES)
