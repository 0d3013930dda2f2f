"""A step after the invitation is an operation that changes what a tenant knows of a guest, and does
no harm when it is done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.graph.causes import Kind, Rule, Verdict
from worker.ledger.model import Options, Outcome, RowState
from worker.ledger.quota import read_buckets, write_buckets
from worker.operations.operation import Asked, Attempt, Call, Operation

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.graph.batch import GraphAnswer
    from worker.ledger.quota import Bucket

PROTECTED = "protected_user"
"""The cause of a refusal that no permission of an application ends."""
PROTECTED_GUEST = Rule(
    Kind.FAILED,
    "Microsoft lets no application change this guest, who probably holds a directory role or is in a group that can be"
    " given one: an administrator changes the guest in the Entra admin center.",
)

SYNCED = "synced_user"
SYNCED_GUEST = Rule(
    Kind.FAILED,
    "This user comes from the on-premises directory, where alone it can be changed: an administrator changes it there.",
)
NOT_YET = Rule(Kind.RETRY, "The directory does not know this guest everywhere yet; usher tries again by itself.")


class Step(Operation):
    """What the steps have in common: the guest's id is needed, and nothing is ever in doubt."""

    rows_a_call = 1
    repeatable = True
    asks_rules = False
    not_there = "This guest is not in the tenant any more, so nothing was changed: invite them again."
    """What is told of whoever is not there."""

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return those of a write."""
        return write_buckets(settings, connection)

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """End the row of whoever is not there, and of a member whom no row of this job made one."""
        if asked.user is None:
            return asked.ended(RowState.FAILED, "not_there", self.not_there)
        if asked.user.member and (self.alone or not asked.row.get("new")):  # only a stage's guest is new
            return asked.ended(RowState.FAILED, "own_member", _MEMBER)
        return None


class LookOnce(Step):
    """A step that changes nothing itself: it looks once more at the guests whom usher's own rows
    name, and each row ends by that, or goes on to the stage that it names.
    """

    alone = True
    only_looks = True
    calls_at_once = 100

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return those of reads: nothing is written."""
        return read_buckets(settings, connection)

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """No row comes here: each has ended by then."""
        raise AssertionError

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Nothing is sent."""
        raise AssertionError


def read_changed(answer: GraphAnswer) -> Verdict:
    """Read a 2xx, which has no body."""
    return Verdict(Kind.DONE, status=answer.status, request_id=answer.headers.get("request-id", "")[:100])


_MEMBER = (
    "This address belongs to a member of the tenant itself, whom usher never changes: an administrator does that in the"
    " Entra admin center."
)
