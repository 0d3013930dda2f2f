"""The operation `clean` looks at guests once more just before something is done to them: whoever is
still due goes on to the stage that its row names, and nothing is sent by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from worker.graph.causes import OperationRules
from worker.graph.guests import LOOKED_AT
from worker.graph.users import READ_ROLES
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.clean.judging import judge_again
from worker.operations.clean.policy import Deed
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import THEN, Ask, Asked, Attempt, Operation
from worker.operations.row_fields import WHY
from worker.operations.step import LookOnce

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.ledger.why_waiting import Stop
    from worker.operations.tenant_rules import TenantRules


class Clean(LookOnce):
    """The operation looks whether what was planned for guests is still due."""

    name = "clean"
    rules = OperationRules(
        verb="look at guests once more",
        permission="User.Read.All",
        also=READ_ROLES - {"User.Read.All"},
        without="nothing is done to any guest by rule",
    )
    words: Mapping[RowState, str] = {RowState.DONE: "due", RowState.SKIPPED: "left alone"}
    reads_sign_ins = True
    reads = LOOKED_AT
    unlooked = "nothing is done unlooked"
    known_words = "that are not due any more"
    once_more = "run usher guests clean once more, which looks at all guests anew and keeps to its ceilings"

    def leads_to(self, stage: Operation) -> bool:
        """Lead to what a policy has done."""
        return stage.name in set(Deed)

    def settle(self, options: Options, connection: Connection) -> Options:
        """A reminder is a mail, whatever the connection says of invitations."""
        return replace(options, send_message=True, deliver=connection.deliver)

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """Leave whoever is not there any more."""
        return asked.ended(RowState.SKIPPED, "not_there", _GONE) if asked.user is None else None

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End every row: due still, or left alone and why. Those wait whose dates of signing in
        cannot be asked for now.
        """
        return await judge_again(ask, rows, connection, {one.index: str(one.row.get(THEN)) for one in rows})

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Refuse without the right; else the row goes on as its list says."""
        foreseen = super().foresee(row, address, seen, rules)
        return replace(foreseen, why=str(row.get(WHY, ""))) if foreseen.would is Would.DO else foreseen


_GONE = "Left alone: this guest is not in the tenant any more."
