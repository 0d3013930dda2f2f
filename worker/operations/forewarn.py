"""The operation `forewarn` tells sponsors that the access of their guests ends soon, by usher's own
mail: one for all guests of the same sponsors.

A row is one guest, with the day that the tenant had and the sponsors' addresses; it names the
sponsors as its target, so that their guests come together. Each is looked up once more: whose end
is another by now, or who is gone, is left out. Of each guest and day somebody is told once,
whatever job does it (`worker/ledger/guests/reminders.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from worker.graph.batch import GraphRequest
from worker.graph.marks import EXTENSIONS
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.mail.message import MailRequest
from worker.operations.mail import SendMail
from worker.operations.mail_rules import MAIL
from worker.operations.operation import Ask, Asked, Attempt, Call, Look, Operation

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.ledger.quota import Bucket
    from worker.ledger.why_waiting import Stop

EXPIRES, SPONSORS, TARGET = "expires", "sponsors", "target"
TEMPLATE = "sponsor"


class Forewarn(SendMail):
    """The operation mails the sponsors of guests whose access ends soon."""

    name = "forewarn"
    rules = replace(MAIL, verb="tell sponsors of ends from the connection's mailbox")
    words: Mapping[RowState, str] = {RowState.DONE: "told"}
    requests = "guests"
    rows_a_call = 50
    alone = True
    tells_link = False
    columns: frozenset[str] = frozenset()
    reads = (EXTENSIONS,)

    def follows(self, connection: Connection) -> bool:
        """Follow whatever root leads to it."""
        return True

    def targets(self, row: Row, options: Options) -> tuple[str, ...]:
        """Ask for it where a root says so."""
        return Operation.targets(self, row, options)

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return those of a mail, which several rows share."""
        share = 1 / (len(rows) or self.rows_a_call)
        return [replace(bucket, cost=share) for bucket in super().buckets(settings, connection, rows)]

    def look(self, connection: Connection, options: Options, *, suspect: bool) -> Look:
        """Nobody is told of an end unlooked."""
        return Look.MUST

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """End the row of a guest who is gone, is a member now, or cannot sign in any more."""
        user = asked.user
        if attempt is not None or (user is not None and user.enabled and not user.member):
            return None
        return asked.ended(RowState.SKIPPED, "no_guest_any_more", _NO_GUEST)

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows of guests whose end is another now, and of whose end somebody was told; note
        the others before they leave.
        """
        attribute = connection.clean.expiry_attribute
        found: dict[int, Outcome | Stop] = {}
        for asked in rows:
            kept = asked.user.more.get(EXTENSIONS) if asked.user else None
            day = kept.get(attribute) if isinstance(kept, Mapping) else None
            if day != asked.row[EXPIRES]:
                found[asked.index] = asked.ended(RowState.SKIPPED, "another_end", _ANOTHER)
        left = [asked for asked in rows if asked.index not in found]
        for index in await ask.reminders.note_ends(connection.tenant_key, ask.job, _ends(left)):
            found[index] = Outcome(index, RowState.SKIPPED, code="told_before", message=_BEFORE)
        return found

    async def take_back(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Forget of whom nobody was told, for the mail was refused."""
        await ask.reminders.take_back_ends(connection.tenant_key, _ends(rows))
        return True

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return a mail for the guests of the same sponsors."""
        together: dict[str, list[Asked]] = {}
        for asked in rows:
            together.setdefault(str(asked.row.get(TARGET)), []).append(asked)
        mails = [(_write(those), tuple(asked.index for asked in those)) for those in together.values()]
        return [Call(GraphRequest(mail.id, "MAIL", ""), indexes, mail) for mail, indexes in mails]


def _ends(rows: Sequence[Asked]) -> dict[int, tuple[str, str]]:
    return {asked.index: (str(asked.row["user_id"]), str(asked.row[EXPIRES])) for asked in rows}


def _write(those: Sequence[Asked]) -> MailRequest:
    first = those[0].row
    to, *others = first[SPONSORS]
    lines = [f"{one.row[EXPIRES]}  {_name(one.row)}" for one in sorted(those, key=lambda one: str(one.row[EXPIRES]))]
    return MailRequest(
        id=str(those[0].index),
        kind=TEMPLATE,
        to=to,
        link="",
        language=str(first.get("language") or ""),
        cc=others[0] if others else "",
        more={"guests": "\n".join(lines), "count": str(len(those))},
        key="/".join([to, *lines]),
    )


def _name(row: Row) -> str:
    name = row.get("display_name")
    return f"{name} ({row['email']})" if name else str(row["email"])


_NO_GUEST = "Nobody was told: this guest is gone, or cannot sign in any more."
_ANOTHER = "Nobody was told: this guest's access ends on another day by now."
_BEFORE = "Nobody was told again: another job has told of this end."
