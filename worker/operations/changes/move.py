"""The operation `move` gives guests another address: `PATCH` of `mail` and `otherMails` first, then
a reset, by which they accept anew. Id, groups and apps stay. Pure but for what `compare` asks.

A row goes twice: what the directory shows says which of the two is next, so a worker that is
killed between them changes nothing of it. Whoever has the new address is reset only where usher has
noted that it writes it (`worker/ledger/guests/moving.py`), by this job or one that was not
finished.
The old address stays among the guest's others, so that the guest is found by it again.
https://learn.microsoft.com/entra/external-id/reset-redemption-status
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from worker.addresses import fold_address
from worker.graph.causes import Kind
from worker.graph.users import build_questions, build_requests, read_users
from worker.graph.verdicts import decide
from worker.ledger.model import NEW_EMAIL, Options, Outcome, Row, RowState
from worker.operations.again.reset import CHANGED, Reset, is_changed_since
from worker.operations.changes.move_rules import ADDRESS, MOVE, MoveCause
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import Ask, Asked, Attempt, Call

if TYPE_CHECKING:
    from datetime import datetime

    from config.connections import Connection
    from worker.graph.batch import GraphAnswer
    from worker.graph.causes import Verdict
    from worker.graph.users import DirectoryUser
    from worker.ledger.why_waiting import Stop
    from worker.operations.tenant_rules import TenantRules

_MAIL, _OTHERS = "mail", "otherMails"
_MOST_OTHERS = 250
"""https://learn.microsoft.com/graph/api/resources/user"""
_LEAST_S, _MOST_S = 1.0, 30.0
"""From the new address to the look that finds it, after which the guest is reset."""


class Move(Reset):
    """The operation moves guests to other addresses."""

    name = "move"
    rules = MOVE
    words: Mapping[RowState, str] = {RowState.DONE: "moved"}
    requests = "moves"
    known_words = "that have the new address already"
    unlooked = "nobody is moved unlooked"
    reads = (CHANGED, _MAIL, _OTHERS)

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """End the row of whoever is no guest, and after `attempt` of whoever was reset by it, which
        nobody was who has the old address still.
        """
        if attempt is not None and asked.user is not None and not _is_moved(asked.user, asked.row):
            return None
        return super().judge_seen(asked, options, attempt)

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows whose new address is not allowed or somebody else's, and those of guests who
        were moved before. Note the others before their address is written.
        """
        found: dict[int, Outcome | Stop] = {}
        moved = [asked for asked in rows if asked.user and _is_moved(asked.user, asked.row)]
        begun = await ask.moving.read(connection.tenant_key, [asked.user.id for asked in moved if asked.user])
        for asked in moved:
            if not _is_open(asked, begun, options):
                found[asked.index] = asked.ended(RowState.SKIPPED, "moved_before", _MOVED)
        to_write = [asked for asked in rows if asked.user and asked not in moved]
        holders = await _find_holders(ask, [_new(asked.row) for asked in to_write])
        for asked in to_write:
            if not connection.accepts_domain(_new(asked.row).rpartition("@")[2]):
                found[asked.index] = asked.ended(RowState.FAILED, "blocked_domain", _BLOCKED)
            elif holders.get(_new(asked.row), asked.user_id) != asked.user_id:
                found[asked.index] = asked.ended(RowState.FAILED, MoveCause.IN_USE, ADDRESS.explain(MoveCause.IN_USE))
        going = [asked.user_id for asked in to_write if asked.index not in found]
        await ask.moving.note(connection.tenant_key, going, ask.now)
        return found

    async def take_back(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Forget those whose address was refused; who has it, and was not reset, stays noted."""
        refused = [asked.user_id for asked in rows if asked.user and not _is_moved(asked.user, asked.row)]
        await ask.moving.drop(connection.tenant_key, refused)
        return True

    async def remember(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Forget those who were reset."""
        await ask.moving.drop(connection.tenant_key, [asked.user_id for asked in rows if asked.user])
        return True

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Refuse without the right; skip who has the new address."""
        if seen.user is not None and _is_moved(seen.user, row):
            return Foreseen(Would.SKIP, "moved_before", _MOVED)
        return super().foresee(row, address, seen, rules)

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return for each row the request that is next: the new address, or the reset."""
        moved = [asked for asked in rows if asked.user and _is_moved(asked.user, asked.row)]
        resets = super().build([replace(asked, row=_renamed(asked.row)) for asked in moved], connection, options)
        writes = [
            asked.call("PATCH", f"/users/{asked.user.id}", _addresses(asked.user, asked.row))
            for asked in rows
            if asked.user and asked not in moved
        ]
        return [*writes, *resets]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge by Graph's answer. Whose address was written waits for the directory to show it."""
        email = asked.row[NEW_EMAIL]
        if call.request.method == "POST":
            verdict = decide(self.rules, answer, email=email)
            is_refused = verdict.kind is Kind.FAILED
            return replace(verdict, message=f"{_HALF} {verdict.message}") if is_refused else verdict
        verdict = decide(ADDRESS, answer, email=email)
        if verdict.kind is Kind.DONE:
            wait_s = min(_MOST_S, _LEAST_S * 2 ** min(asked.tried, 5))
            return replace(verdict, kind=Kind.LATER, cause="address_written", message=_WRITTEN, retry_after_s=wait_s)
        # Nobody is reset by it, so it is not looked up but written again
        return replace(verdict, kind=Kind.RETRY) if verdict.kind is Kind.IN_DOUBT else verdict

    def resolve_unshown(
        self, row: Row, user: DirectoryUser | None, connection: Connection, *, looked: bool
    ) -> RowState:
        """Go on with whoever has the old address still: nobody can have been reset."""
        if user is not None and not _is_moved(user, row):
            return RowState.PENDING
        return super().resolve_unshown(row, user, connection, looked=looked)


def _new(row: Row) -> str:
    return fold_address(row[NEW_EMAIL])


def _is_moved(user: DirectoryUser, row: Row) -> bool:
    """Whether a guest has the new address."""
    return fold_address(str(user.more.get(_MAIL) or "")) == _new(row)


def _is_open(asked: Asked, begun: Mapping[str, datetime], options: Options) -> bool:
    """Whether usher has written the address and the guest was not reset since. One who was may be
    once more where usher mails guests itself and the link was in an answer that nobody heard.
    """
    if asked.user is None or (at := begun.get(asked.user_id)) is None:
        return False
    return bool(options.template and asked.tried) or not is_changed_since(asked.user, at.timestamp())


def _addresses(user: DirectoryUser, row: Row) -> dict[str, Any]:
    """Return what is written: the new address before all that the guest had."""
    others = user.more.get(_OTHERS)
    had = [user.more.get(_MAIL), *(others if isinstance(others, list) else [])]
    kept = {fold_address(one): one for one in [row[NEW_EMAIL], *had] if isinstance(one, str) and one}
    return {_MAIL: row[NEW_EMAIL], _OTHERS: list(kept.values())[:_MOST_OTHERS]}


def _renamed(row: Row) -> dict[str, Any]:
    return {**row, "email": row[NEW_EMAIL]}


async def _find_holders(ask: Ask, addresses: Sequence[str]) -> dict[str, str]:
    """Return who has some addresses: the users' ids, as far as the tenant shows them."""
    questions = build_questions(addresses)
    if not questions:
        return {}
    requests = build_requests(questions)
    answers = await ask.get(requests)
    holders: dict[str, str] = {}
    for question, request in zip(questions, requests, strict=True):
        found = read_users(answers[request.id], question.by) or {}
        holders |= {address: user.id for address, user in found.items()}
    return holders


_MOVED = (
    "Not moved: this guest has the new address already. A guest who cannot sign in with it is reset by usher guests"
    " reset."
)
_BLOCKED = "Not moved: the settings of the connection do not allow the domain of the new address."
_HALF = "The guest has the new address now and was not reset."
_WRITTEN = "The new address is written; the reset follows."
