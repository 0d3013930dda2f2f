"""A plan says what a job is going to do before it does it: rows, e-mails, tenant, time, and what is
known to go wrong. Pure.

The risks and their sources stand in Microsoft's documentation and in public reports; each is a
sentence that says what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tasks.forecast.stage_words import stage_lines, stage_warnings
from tasks.forecast.targets import StageAhead
from tasks.submit import Loaded
from tasks.telling.words import gate_words, many, number, span, utc_now
from worker.channels import INVITE
from worker.directory.questions import Tenant
from worker.ledger.gates import Gate
from worker.ledger.model import Counts
from worker.ledger.quota import Bucket, seconds_for_all
from worker.operations.operation import Operation
from worker.operations.registry import find_operation

if TYPE_CHECKING:
    from config.connections import Connection

NAME_ABOVE_ROWS = 500
"""Above so many rows the question wants the connection's name, which nobody types by habit."""

ONMICROSOFT_RECIPIENTS = 100
"""Outside recipients a day that Exchange Online lets an onmicrosoft.com sender reach.
https://learn.microsoft.com/exchange/troubleshoot/email-delivery/smtp-550-5-7-236"""

TRUSTED_AFTER_ROWS = 20
"""A first job above this many rows gets the advice to try a few first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A job in numbers and sentences. `tenant` is its name where it can be read, else its id."""

    connection: str
    tenant: str
    rows: int
    bad: int
    duplicates: int
    blocked: int
    to_send: int
    mails: int
    loads: Sequence[tuple[Sequence[Bucket], int]]
    """What its calls take from, and how many there are of each kind."""
    pilot: int = 0
    rehearsal: bool = False
    risks: tuple[str, ...] = ()
    known: int = 0
    refused: int = 0
    """Of a dry run: rows of guests who are there or were invited lately; rows to be refused."""
    members: int = 0
    """Rows to be sent that ask for a member rather than a guest."""
    needs_approval: bool = False
    mailed_by: str = ""
    """Who sends the e-mails, where it is not Microsoft."""
    stages: tuple[StageAhead, ...] = ()
    operation: Operation = field(default_factory=lambda: find_operation(INVITE))
    at_most: bool = False
    """Whether some of those to be invited may be there already: nobody has looked, or could."""

    @property
    def seconds(self) -> float:
        """How long it takes at least, as the quota goes."""
        return seconds_for_all(self.loads)

    @property
    def counts(self) -> dict[str, int]:
        """The rows as they would stand if nothing of the job were sent: the counts of `--json`."""
        counts = Counts(
            self.rows,
            skipped=self.duplicates + self.known,
            failed=self.bad + self.blocked + self.refused,
            cancelled=self.to_send,
        )
        return counts.told(self.operation.name)

    def _many(self, count: int) -> str:
        return many(count, self.operation.requests.removesuffix("s"))

    def lines(self) -> list[tuple[str, str]]:
        """The plan as (heading, text) pairs."""
        lines = [("Rows", many(self.rows, "row"))]
        for count, text in (
            (self.bad, "cannot be sent (each is told with its line)"),
            (self.blocked, "of domains that the connection's settings do not allow"),
            (self.duplicates, "repeated: each address counts once"),
            (self.known, self.operation.known_words),
            (self.refused, "would be refused"),
        ):
            if count:
                lines.append(("", f"{number(count)} {text}"))
        lines += [
            (
                "To send",
                self._most(self._many(self.to_send)) + (f", the first {number(self.pilot)} now" if self.pilot else ""),
            ),
            ("E-mails", self._mail_words()),
            *stage_lines(self.stages),
            ("Tenant", f"{self.tenant} (connection {self.connection})"),
            (
                "Time",
                f"at least {span(self.seconds)}, as the quota goes" if self.seconds >= 1 else "less than a second",
            ),
        ]
        if self.needs_approval:
            lines.append(("Approval", "by somebody else, before anything is sent"))
        return lines

    def _mail_words(self) -> str:
        if not self.mails:
            return "none"
        return (
            f"{self._most(number(self.mails))}, sent by "
            f"{'nobody: the sandbox writes them down' if self.rehearsal else self.mailed_by or 'Microsoft'}"
            f"{'; guests who are there already get none' if self.at_most and not self.operation.alone else ''}"
        )

    def _most(self, count: str) -> str:
        return f"at most {count}" if self.at_most else count

    @property
    def question(self) -> str:
        """What is asked on a terminal before anything is sent."""
        now = self.pilot or self.to_send
        sends = f"Send {self._most(self._many(now))}"
        mails = min(self.mails, now)
        with_mail = f" with {many(mails, 'e-mail')}" if mails else " without e-mail"
        where = f"{sends}{with_mail} to the tenant {self.tenant}?"
        if self.wants_name:
            return f"{where} {self.again}"
        return f"{where} [y/N]"

    @property
    def again(self) -> str:
        """What is asked where a yes was typed, and is none."""
        return f"Type the connection's name ({self.connection}) to go on:"

    @property
    def wants_name(self) -> bool:
        """Whether only the connection's name is a yes."""
        return (self.pilot or self.to_send) > NAME_ABOVE_ROWS

    def accepts(self, answer: str) -> bool:
        """Whether an answer to `question` is a yes."""
        answer = answer.strip().lower()
        return answer == self.connection if self.wants_name else answer in ("y", "yes")


def build_plan(
    loaded: Loaded,
    connection: str,
    *,
    buckets: list[Bucket],
    tenant_id: str,
    tenant: Tenant | None,
    gate: Gate,
    jobs_before: int,
    daily_limit: int | None = None,
    rehearsal: bool = False,
    needs_approval: bool = False,
    in_doubt_before: int = 0,
    mailed_by: str = "",
    stages: Sequence[StageAhead] = (),
    operation: Operation | None = None,
    twins: Sequence[str] = (),
) -> Plan:
    """Tell the plan of a loaded list. `rehearsal`: against the sandbox, where nobody is mailed;
    `mailed_by`: who sends the e-mails, where it is not Microsoft; `twins`: what is said of other
    connections of the tenant.
    """
    pilot = loaded.loading.pilot if 0 < loaded.loading.pilot < loaded.to_send else 0
    risks = [
        *twins,
        *_end_risks(loaded),
        *_member_risks(loaded),
        *([] if mailed_by else _message_risks(loaded)),
        *stage_warnings(stages),
        *([] if rehearsal or mailed_by else _mail_risks(loaded, tenant)),
        *_size_risks(loaded, connection, jobs_before, daily_limit, pilot, rehearsal=rehearsal),
    ]
    if in_doubt_before:
        risks.append(
            f"{many(in_doubt_before, 'row')} stayed in doubt before: those guests may have been invited already, and"
            " may get a second e-mail."
        )
    if gate.held:
        risks.append(f"The connection is held: {gate_words(gate, utc_now())}")
    return Plan(
        connection,
        (
            f"{tenant.name} ({tenant.default_domain})"
            if tenant and tenant.default_domain
            else tenant.name
            if tenant
            else tenant_id
        ),
        loaded.rows,
        loaded.bad_count,
        loaded.duplicates,
        loaded.blocked,
        loaded.to_send,
        loaded.mails,
        [(buckets, loaded.to_send), *(load for stage in stages for load in stage.loads)],
        pilot,
        rehearsal,
        tuple(risks),
        members=loaded.remarks["members"],
        needs_approval=needs_approval,
        mailed_by=mailed_by,
        stages=tuple(stages),
        operation=operation or find_operation(INVITE),
    )


def reduce_to(loaded: Loaded, to_send: int, mails: int, remarks: Counter[str]) -> Loaded:
    """Return a list's numbers as the directory leaves them; messages are told of the whole list."""
    return replace(
        loaded, to_send=to_send, mails=mails, remarks=Counter({**loaded.remarks, "members": remarks["members"]})
    )


def _end_risks(loaded: Loaded) -> list[str]:
    ended = loaded.remarks["ended"]
    if not ended:
        return []
    which = "an `expires` that is past: its guest" if ended == 1 else "an `expires` that is past: their guests"
    verb = "is" if ended == 1 else "are"
    return [f"{many(ended, 'row')} with {which} {verb} invited all the same. Correct the list if that is not meant."]


def _member_risks(loaded: Loaded) -> list[str]:
    members = loaded.remarks["members"]
    if not members:
        return []
    # https://learn.microsoft.com/entra/fundamentals/users-default-permissions; a user export of
    # Entra's has the column for everybody
    many_ask = "1 row asks for a member, not a guest"
    if members > 1:
        many_ask = f"{many(members, 'row')} ask for members, not guests"
    sentence = (
        f"{many_ask} (user_type): a member may see and do in the tenant what its own people may. If guests are meant,"
        " leave user_type out (of a file: --map user_type=)."
    )
    return [sentence]


def _message_risks(loaded: Loaded) -> list[str]:
    risks = []
    worded, unheard = loaded.remarks["with_message"], loaded.remarks["language_ignored"]
    if worded:
        # https://learn.microsoft.com/entra/external-id/troubleshoot (the custom message is not
        # included)
        risks.append(
            f"{many(worded, 'row')} with a message of {'its' if worded == 1 else 'their'}"
            " own: Microsoft leaves it out of the e-mail when an app sends the invitation, as here. To be sure of your"
            " words, let usher mail them (`deliver` of the connection), or use --no-send-message and mail the links"
            " of the results yourself."
        )
    if unheard:
        # https://learn.microsoft.com/graph/api/resources/invitedusermessageinfo
        risks.append(f"{many(unheard, 'row')} with a language beside a message: Microsoft ignores the language then.")
    return risks


def name_mailer(connection: Connection) -> str:
    """Say who mails the guests of a connection, where it is not Microsoft."""
    if connection.deliver == "mailbox":
        return f"usher, from the mailbox {connection.mailbox}"
    return "usher, through the mail server" if connection.mails_itself else ""


def _mail_risks(loaded: Loaded, tenant: Tenant | None) -> list[str]:
    if tenant is None or not loaded.mails or not tenant.default_domain.endswith(".onmicrosoft.com"):
        return []
    sentence = (
        f"The e-mails come from {tenant.default_domain}: Exchange Online lets such a sender reach about"
        f" {ONMICROSOFT_RECIPIENTS} outside recipients a day, and {number(loaded.mails)} are to be sent. Make a domain"
        " of your own the tenant's default, or set daily_limit = 90."
    )
    return [sentence]


def _size_risks(
    loaded: Loaded, connection: str, jobs_before: int, daily_limit: int | None, pilot: int, *, rehearsal: bool
) -> list[str]:
    risks = []
    if not jobs_before and not rehearsal and not pilot and loaded.to_send > TRUSTED_AFTER_ROWS:
        # https://learn.microsoft.com/answers/questions/5781008/ (no threshold is published)
        risks.append(
            f"Connection {connection} has never finished a job. Microsoft blocks tenants that suddenly invite many, and"
            ' only its support lifts that: try --pilot 5 first, or pace = "guarded".'
        )
    if daily_limit and loaded.to_send > daily_limit:
        days = -(-loaded.to_send // daily_limit)
        risks.append(f"The connection's daily_limit is {number(daily_limit)}: this list takes {many(days, 'day')}.")
    return risks
