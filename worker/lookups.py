"""Asking the directory who is there: the token, the quota, the call, and what to make of it when nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.directory import READ_ROLES, DirectoryUser, build_look_up, read_look_up
from worker.quota import read_buckets
from worker.reactions import Reactions
from worker.verdicts import Kind, Operation, decide

if TYPE_CHECKING:
    from config import Connection
    from worker.services import Services
    from worker.tokens import AccessToken


class WhyNot(StrEnum):
    """Why nobody could tell who is there."""

    MAY_NOT = "may_not"  # the app may not read users
    LATER = "later"  # no token, no quota, no answer: ask again


@dataclass(frozen=True, slots=True)
class Found:
    """The users found, by folded address; or None, and why."""

    users: dict[str, DirectoryUser] | None = None
    why_not: WhyNot | None = None


class LookUps:
    """Look-ups of one process."""

    def __init__(self, services: Services, reactions: Reactions) -> None:
        self._services = services
        self._reactions = reactions

    async def find(self, connection: Connection, addresses: Sequence[str]) -> Found:
        """Look up to `directory.MOST_ADDRESSES` folded addresses up in one `$batch`. Raises redis-py's outages only."""
        services = self._services
        token = await self._reactions.take_token(connection)
        if isinstance(token, float):
            return Found(why_not=WhyNot.LATER)
        if not may_try(token):
            return Found(why_not=WhyNot.MAY_NOT)
        requests = build_look_up(addresses)
        if await services.ledger.take(read_buckets(services.settings(), connection), len(requests)):
            return Found(why_not=WhyNot.LATER)
        exchange = await services.graph.send_batch(
            connection, token.secret, requests, priority="normal", deadline_s=services.settings().graph.timeout_s
        )
        services.clocks.learn_graph(connection.graph_url, exchange.server_date)
        users = read_look_up(exchange.answers.values())
        if users is not None:
            return Found(users)
        kinds = {decide(Operation.READ_USERS, answer).kind for answer in exchange.answers.values()}
        if Kind.TOKEN in kinds:
            await services.tokens.invalidate(connection, token)
        return Found(why_not=WhyNot.MAY_NOT if Kind.FAILED in kinds else WhyNot.LATER)


def may_try(token: AccessToken) -> bool:
    """Whether asking makes sense: the token's roles are a hint; without them Graph itself is asked."""
    return token.roles is None or bool(token.roles & READ_ROLES)
