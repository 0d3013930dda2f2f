"""The operation `mail` sends each guest whom a job invited a mail of one's own with the redeem
link, where the connection's `deliver` says so. Pure.

It is the one stage that does harm when it is done twice. So it is never repeated: a mail whose
answer was lost stays in doubt at once, for no directory shows whether it arrived. Whoever was a
guest before gets none unless that was asked for (`--resend`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from worker.graph.batch import GraphRequest
from worker.ledger.model import NEW_EMAIL, RESEND, Options, Outcome, Row, RowState, is_resent
from worker.ledger.quota import even_bucket
from worker.mail.message import WORDED, MailRequest
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.invite import name_of
from worker.operations.mail_rules import IN_DOUBT, MAIL, judge_mail
from worker.operations.operation import MAILED, UNSURE, Asked, Attempt, Call, Look, Operation

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.graph.batch import GraphAnswer
    from worker.graph.causes import Verdict
    from worker.graph.users import DirectoryUser
    from worker.ledger.quota import Bucket
    from worker.ledger.why_waiting import Stop
    from worker.operations.operation import Ask
    from worker.operations.tenant_rules import TenantRules


class SendMail(Operation):
    """The operation mails the invitation that Microsoft was told not to mail."""

    name = "mail"
    rules = MAIL
    words: Mapping[RowState, str] = {RowState.DONE: "mailed"}
    rows_a_call = 1
    repeatable = False
    asks_rules = False
    calls_at_once = 1
    """What is marked when a worker is killed stays in doubt for good, so it is one mail."""
    shown = False
    tells_link = True
    columns = frozenset(
        {*("display_name", "language", "message", "redirect_url", "cc", "send_message"), NEW_EMAIL, RESEND, *WORDED}
    )

    def sender(self, connection: Connection) -> str:
        """Return the tenant's mailbox; a mail server has its own settings."""
        return connection.mailbox or "" if connection.deliver == "mailbox" else ""

    def follows(self, connection: Connection) -> bool:
        """Follow where the connection mails its guests itself."""
        return connection.mails_itself

    def targets(self, row: Row, options: Options) -> tuple[str, ...]:
        """Ask for a mail where one is wanted; the options have what the connection says of it."""
        wanted = next((said for said in (row.get("send_message"), options.send_message) if said is not None), True)
        return ("",) if wanted else ()

    def signs_in(self, connection: Connection) -> bool:
        """Only a mailbox of the tenant wants a token."""
        return connection.deliver == "mailbox"

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return the mailbox's bucket, or the mail server's, which all connections share."""
        if connection.deliver == "mailbox":
            place = f"mailbox:{connection.tenant_key}/{connection.mailbox or ''}".lower()
            return [even_bucket(place, connection.mailbox_rate.per_minute)]
        server = hashlib.sha256((settings.smtp.url or "").encode()).hexdigest()[:16]  # it may name a user
        return [even_bucket(f"smtp:{server}", settings.smtp.rate.per_minute)]

    def daily_limit(self, connection: Connection) -> int:
        """Return none: who was invited is mailed."""
        return 0

    def look(self, connection: Connection, options: Options, *, suspect: bool) -> Look:
        """Ask nobody: a mail goes to an address, whatever the directory knows."""
        return Look.NO

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows of guests of before, and of such whose link is not to be had."""
        return {
            asked.index: outcome
            for asked in rows
            if (outcome := _end_unsent(asked, is_asked_again=is_resent(asked.row, options))) is not None
        }

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """Say nothing: the directory does not show mails."""
        return None

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Foresee a mail: what a mail server says is not known beforehand."""
        return Foreseen(Would.DO)

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return a mail for each row. What it says is worded when it leaves."""
        mails = {asked.index: write_mail(asked, connection, options) for asked in rows}
        return [Call(GraphRequest(mail.id, "MAIL", ""), (index,), mail) for index, mail in mails.items()]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge by what the mail server said, or Graph of a mailbox."""
        return judge_mail(answer, email=asked.row["email"], tried=asked.tried)

    def explain_doubt(self, user: DirectoryUser | None) -> str:
        """Say that nobody can find out whether a mail arrived."""
        return IN_DOUBT

    def mail(self, row: Row, connection: Connection, options: Options, *, silent: bool = False) -> str:
        """Say that a mail was handed on."""
        return MAILED


def _end_unsent(asked: Asked, *, is_asked_again: bool) -> Outcome | None:
    if asked.row.get("new"):
        if asked.redeem_url:
            return None
        if asked.row.get(UNSURE):
            return asked.ended(RowState.LEFT_IN_DOUBT, "restored", IN_DOUBT)
        return asked.ended(RowState.FAILED, "no_link", _NO_LINK)
    return None if is_asked_again else asked.ended(RowState.SKIPPED, "guest_before", _OF_BEFORE)


def write_mail(asked: Asked, connection: Connection, options: Options) -> MailRequest:
    """Return the mail to one guest."""
    row = asked.row
    landing = row.get("redirect_url") or options.redirect_url or connection.redirect_url
    link = asked.redeem_url or landing  # who has accepted before needs no link to accept
    return MailRequest(
        id=str(asked.index),
        kind=options.template or "invite",
        to=row.get(NEW_EMAIL) or row["email"],
        link=link,
        language=row.get("language") or options.language or "",
        name=name_of(row),
        cc=row.get("cc") or "",
        message=row.get("message") or options.message or "",
        more={column: str(row.get(column) or "") for column in WORDED},
        key="/".join(map(str, (row["email"], row.get("row", ""), row.get("since", ""), link))),
    )


_OF_BEFORE = "Was a guest of this tenant before, so no mail was sent; with --resend one is."
_NO_LINK = (
    "The invitation's link is not in the ledger any more, so no mail was sent: submit the row again with --resend."
)
