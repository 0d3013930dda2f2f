"""An operation is something done to guests by Graph requests, and a way to find out whether it was
done.

The engine (claims, leases, quota, gates, doubt, counting) knows operations by this protocol alone.
A row of an operation ends with one of the ledger's letters; what a person reads of each letter is
the operation's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from worker.channels import name_channel
from worker.graph.batch import BATCH_LIMIT, GraphRequest
from worker.graph.causes import Cause
from worker.graph.verdicts import decide
from worker.ledger.model import STAGES_DONE, STATUS_OF, KnownRow, Options, Outcome, Row, RowState
from worker.operations.ask import Ask as Ask
from worker.operations.ask import CannotAsk as CannotAsk
from worker.operations.foreseen import Foreseen, Would
from worker.operations.row_fields import INTERNAL as INTERNAL
from worker.operations.row_fields import THEN as THEN
from worker.operations.row_fields import UNSURE as UNSURE

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.graph.batch import GraphAnswer
    from worker.graph.causes import OperationRules, Verdict
    from worker.graph.users import DirectoryUser
    from worker.ledger.job_targets import Target, TargetKind
    from worker.ledger.quota import Bucket
    from worker.ledger.why_waiting import Stop
    from worker.mail.message import MailRequest
    from worker.operations.foreseen import Seen
    from worker.operations.tenant_rules import TenantRules


MAILED = "requested"
"""What `Operation.mail` says of a row that somebody is mailed for."""


INVITED_BEFORE = "invited_before"
"""The code of a row that was skipped because some job did it lately: its guest is there."""


NOT_THERE_YET = "not_there_yet"
"""The cause of a refusal that passes once the directory knows the guest everywhere."""


class Look(Enum):
    """A look says whether the directory is asked for a chunk's guests before its first send."""

    NO = "no"
    WHERE_ALLOWED = "where_allowed"  # what Graph itself would say is found out beforehand
    MUST = "must"  # requests name a user's id


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt is a send of a row whose answer nobody heard."""

    at_s: float  # on Graph's clock, seconds since the epoch
    outcome: Outcome  # how the row ends if it was carried out
    sure: bool = True  # it left; False: of a restored ledger, where it may have


@dataclass(slots=True)  # not frozen, as `Call` is not: there is one for every row (`model.GrantedRow`)
class Asked:
    """A row is asked to leave now. `user`: whom the look-up found; `target`: what the row names
    beside them; `silent`: without a mail whatever the row says or, where a call covers several
    rows, in a call of its own; `tried`: how often it has left before; `unsure`: one of those tries
    may have been carried out, though nobody heard so; `along`: what the row names for later and the
    job knows already (`Operation.takes_along`); `redeem_url`: the invitation's, where the operation
    tells it.
    """

    index: int
    row: Row
    user: DirectoryUser | None = None
    silent: bool = False
    target: Target | None = None
    tried: int = 0
    unsure: bool = False
    along: tuple[Target, ...] = ()
    redeem_url: str = field(default="", repr=False)

    @property
    def user_id(self) -> str:
        """The guest's object id, '' where nobody knows it."""
        return self.user.id if self.user else str(self.row.get("user_id") or "")

    def ended(self, letter: RowState, code: str = "", message: str = "") -> Outcome:
        """Return how the row ends without a send; its time is whoever's who asked."""
        return Outcome(self.index, letter, user_id=self.user_id, code=code, message=message)

    def granted(self, attempt: int, *, silent: bool) -> Asked:
        """Return the row as the ledger lets it leave, for the `attempt`-th time."""
        if silent is self.silent and attempt == self.tried + 1:
            return self
        return replace(self, silent=silent, tried=attempt - 1)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Call:
        """Return a call that is about this row alone."""
        return Call(GraphRequest(str(self.index), method, path, body), (self.index,))


@dataclass(slots=True)
class Call:
    """A call is one request and the rows that it is about; its answer is theirs. `mail`: it is a
    mail, for the mailroom, and no request of Graph's; its request is only the name of the answer.
    """

    request: GraphRequest
    rows: tuple[int, ...]
    mail: MailRequest | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel is one connection's work of one operation."""

    connection: Connection
    operation: Operation

    @property
    def name(self) -> str:
        """The channel's name in the ledger: gates, turns, doubts and back-off go by it."""
        return name_channel(self.connection.name, self.operation.name)

    def settled(self, options: Options) -> Channel:
        """Return the channel with what a job's options have settled of the connection's settings:
        who mails its guests.
        """
        if options.deliver in (None, self.connection.deliver):
            return self
        return replace(self, connection=self.connection.model_copy(update={"deliver": options.deliver}))


class Operation(Protocol):
    """An operation does something to guests by requests, and finds out whether it was done."""

    name: str
    """In the job, the channel, metrics, audit and results: `invite`, `groups`, …"""
    rules: OperationRules
    """Its permission, and what Graph's refusals mean."""
    words: Mapping[RowState, str]
    """What a person reads of each final letter: `invited`, `added`, `already_member`."""
    rows_a_call: int
    """Rows that one request may cover."""
    repeatable: bool
    """Doing it again does no harm: no claim is taken, and a lost answer is only another try."""

    asks_rules: bool
    """Whether a dry run reads what the tenant says beforehand: who may invite, which domains."""
    heading_already: str = "Already"
    """What stands above the numbers of rows that were so before."""
    requests: str = "requests"
    """What several of its requests are called in a sentence."""
    known_words: str = "that need it not"
    """Of rows that are skipped because of how the tenant has their guests: what a plan says."""
    unlooked: str = "nothing is done unlooked"
    """Half a sentence: what nobody does while nobody can tell who is in the tenant."""
    never_known: str = ""
    """What no permission would let a dry run see, a sentence."""
    summaries: Mapping[str, str] = {}
    """Why rows would end so, by the code: told once of several rows, where it differs a little from
    row to row.
    """
    columns: frozenset[str] = frozenset()
    """Of a stage: what it needs of the row whose guest was invited."""
    takes_along: tuple[str, TargetKind] | None = None
    """A column whose names a request can take along where the job knows what they stand for."""
    reads: tuple[str, ...] = ()
    """Properties of the user that the look-up selects besides, for `DirectoryUser.more`."""
    target_kind: TargetKind | None = None
    """What the names of `targets` stand for in the tenant; None where nothing is named."""

    compares_purely: bool = False
    """Its `compare` asks nobody and notes nothing, so a dry run judges by it too."""
    calls_at_once: int = BATCH_LIMIT
    """Calls that leave together."""
    shown: bool = True
    """The directory shows whether it was done, and the index of guests remembers it. False: nobody
    can look, so what was perhaps done stays in doubt at once.
    """
    alone: bool = False
    """It is about guests who are there: a person asks for it by itself, or a root that says so in
    its rows (`THEN`). No invitation leads to it, that guests were invited lately does not stop it,
    and nobody is waited for whom the directory does not show.
    """
    invites: bool = False
    """Whoever it is done to was just invited: what follows waits for the directory to know them."""
    guarded: bool = False
    """It is never done to whoever holds, or may take, a directory role: their rows end before a
    send, and where nobody can tell who that is the channel is held.
    """
    reads_sign_ins: bool = False
    """It asks when guests signed in, which needs a permission of its own."""
    looks_in_bin: bool = False
    """Whoever is not in the directory is looked for among those who were deleted lately, too; and
    after a lost answer nothing is done again before that.
    """
    takes_lists: bool = False
    """A list of people is all that it needs, so any program may ask for it; the rows of the others
    are made by usher.
    """
    only_looks: bool = False
    """It changes nothing itself: its rows only say who goes on to its stages."""
    undone_by: str = ""
    """The operation that undoes it; '' where nothing does."""
    once_more: str = ""
    """What a person does instead of trying its rows again by themselves, half a sentence."""
    tells_link: bool = False
    """Its rows need the redeem link of their invitation."""

    @property
    def headings(self) -> tuple[str, str]:
        """What stands above the numbers of rows to which it was done, and of those that were so."""
        return word_of(RowState.DONE, self).replace("_", " ").capitalize(), self.heading_already

    def find_guarded(self, rows: Sequence[Row], indexes: Sequence[int]) -> Sequence[int]:
        """Return which of some rows are never to be done to whoever holds, or may take, a directory
        role. Pure.
        """
        return indexes if self.guarded else ()

    def brings(self, row: Row) -> bool:
        """Return whether a row is about somebody who may not be there yet: which domains a
        connection allows, and that somebody was invited lately, counts for such rows alone. Pure.
        """
        return not self.alone

    def signs_in(self, connection: Connection) -> bool:
        """Return whether its calls need an access token."""
        return True

    def sender(self, connection: Connection) -> str:
        """Return the mailbox that it sends from, '' where there is none."""
        return ""

    def follows(self, connection: Connection) -> bool:
        """Return whether rows of a root that leads to it may ask for it here (`targets`)."""
        return True

    def leads_to(self, stage: Operation) -> bool:
        """Return whether rows of it may ask for a stage."""
        return False

    def settle(self, options: Options, connection: Connection) -> Options:
        """Return the options of a job: who mails its guests is settled with it. Where usher does,
        its rows ask for a mail, and so what the connection says of that is settled too.
        """
        options = replace(options, deliver=connection.deliver)
        if options.send_message is None and connection.mails_itself:
            return replace(options, send_message=connection.send_message)
        return options

    def targets(self, row: Row, options: Options) -> tuple[str, ...]:
        """Return what a row of the root asks for in this stage, by name; one that needs none is
        asked for as ''. Nothing: not asked for. Pure.
        """
        then = row.get(THEN, ())
        return ("",) if self.name in ([then] if isinstance(then, str) else then) else ()

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """Return the rows that are not to be sent, by index: how they end, or why they wait. Asked
        after the look-up, before each send. Raises `CannotAsk`.
        """
        return {}

    async def take_back(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Take back what `compare` has noted of rows that were refused afterwards; returns whether
        it notes anything.
        """
        return False

    async def remember(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Remember beyond the job of rows that they were done; returns whether it remembers
        anything. Asked once their answers are there, before their ends are recorded.
        """
        return False

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return the buckets that a row takes from, each with a row's share of its call's cost.

        `rows`: those that are about to leave; none: of any that fill their calls.
        """
        ...

    def remarks(self, row: Row, options: Options) -> tuple[str, ...]:
        """Return what a plan counts of a row, by names that whoever shows it knows. Pure."""
        return ()

    def daily_limit(self, connection: Connection) -> int:
        """Return how many rows may leave in one UTC day; 0: any number."""
        return 0

    def look(self, connection: Connection, options: Options, *, suspect: bool) -> Look:
        """Say whether to look up a chunk; it must be where requests name a user's id. `suspect`:
        its rows may have left without the ledger's knowledge.
        """
        return Look.MUST

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """Return how a row ends whose guest was looked up, before a send or after `attempt`.

        None: before a send, that it is to be done; after one, that the directory does not show it.
        """
        ...

    def judge_known(self, row: KnownRow, at_ms: int, user: DirectoryUser | None = None) -> Outcome:
        """Return how a row ends that some job did lately, as the index of guests remembers. `user`:
        if looked up. Asked of nothing that may be done again.
        """
        raise AssertionError

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Return what Graph would answer for a row that is sent, as far as can be told beforehand.
        Pure.

        `address` is folded. What `judge_known` and `judge_seen` end before a send does not come
        here. Unless an operation knows more: refused without the right, else done.
        """
        if self.rules.is_granted(rules.roles) is False:
            return Foreseen(Would.REFUSE, Cause.NO_PERMISSION, self.rules.explain(Cause.NO_PERMISSION), by_graph=True)
        return Foreseen(Would.DO)

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return the requests, each for one row or more. Pure."""
        ...

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Return what the answer to a call means for one of its rows. Pure and total."""
        return decide(self.rules, answer, email=asked.row["email"])

    def resolve_unshown(
        self, row: Row, user: DirectoryUser | None, connection: Connection, *, looked: bool
    ) -> RowState:
        """Return what becomes of a row in doubt that the directory has not shown as done for long
        enough. `looked`: somebody could look.
        """
        if user is None and looked:
            return RowState.PENDING
        again = {"resend": RowState.PENDING, "silent": RowState.PENDING_SILENT}
        return again.get(connection.on_doubt, RowState.LEFT_IN_DOUBT)

    def tell_done(self, at_ms: int) -> str:
        """Return what a row that was done at this time is told besides; '' for nothing."""
        return ""

    def explain_doubt(self, user: DirectoryUser | None) -> str:
        """Say of a row that stays in doubt for good what happened and what a person can do. Asked
        of nothing that may be done again.
        """
        raise AssertionError

    def explain_unseen(self, row: Row, options: Options) -> str:
        """Say in half a sentence why a look into the directory does not show whether such a row was
        done; '' where it shows it.
        """
        return ""

    def mail(self, row: Row, connection: Connection, options: Options, *, silent: bool = False) -> str:
        """Say of a mail with a row: `requested`, `none`, or nothing where none goes by nature."""
        return ""


def word_of(letter: RowState, operation: Operation) -> str:
    """Return how a row stands, in its operation's own words."""
    return operation.words.get(letter) or STATUS_OF[letter]


def find_targets(operation: Operation, row: Row, options: Options) -> tuple[str, ...]:
    """Return what a row asks for in a stage; nothing where an earlier run has done that stage."""
    return () if operation.name in row.get(STAGES_DONE, ()) else operation.targets(row, options)
