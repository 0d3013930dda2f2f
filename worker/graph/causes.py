"""A cause says what a refusal means for the row, for the connection, and in words; here are those
that any operation may meet. Pure.

Each operation adds its own causes (`invite_rules.py`, `again/reset_rules.py`): the same words of
Graph's may stop everything for one and end a row for another. `patterns.py` tells causes apart;
`verdicts.py` judges what has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.graph.patterns import Pattern, find_cause, wording

if TYPE_CHECKING:
    from worker.graph.batch import GraphAnswer


class Kind(StrEnum):
    """What a verdict asks of the caller."""

    DONE = "done"  # the row ends well
    ALREADY = "already"  # the row ends well, nothing was to be done
    FAILED = "failed"  # the row ends; for a read: not to be had
    THROTTLED = "throttled"  # refused before processing; the gate closes for `retry_after_s`
    RETRY = "retry"  # may be sent again; see `maybe_processed`
    AGAIN = "again"  # refused with its call for another row's sake, or for what can be left out: sent again at once
    LATER = "later"  # refused for now, for this row's sake alone: it waits for `retry_after_s`, others go on
    IN_DOUBT = "in_doubt"  # look the guest up before anything else
    HOLD = "hold"  # the connection cannot go on, see `hold`; the row waits
    TOKEN = "token"  # noqa: S105  (no secret) the token was refused: take a new one, once
    OK = "ok"  # a read succeeded


class HoldKind(StrEnum):
    """Why a gate is held, and by what it is lifted."""

    CREDENTIAL = "credential"  # lifted when a token is had
    PERMISSION = "permission"  # Graph's own: half-open, one real row on a growing interval
    TENANT = "tenant"  # likewise: a setting of the tenant, or the connection's addresses
    ABUSE = "abuse"  # lifted only by a person
    DIRECTORY_FULL = "directory_full"  # half-open


@dataclass(slots=True, repr=False)  # not frozen, as there is one for every row (`batch.GraphAnswer`)
class Verdict:
    """What an answer means. `message` is for people: what happened, and who must do what."""

    kind: Kind
    code: str = ""  # Graph's where Graph spoke, else ours in snake_case
    message: str = ""
    raw: str = ""  # Graph's own message, local parts and query strings taken out; '' where there was none
    status: int = 0  # HTTP status, 0 when no answer came
    request_id: str = ""  # what Microsoft's support asks for
    user_id: str = ""
    invitation_id: str = ""
    redeem_url: str = ""  # a ticket: whoever has it becomes the guest
    retry_after_s: float | None = None
    throttle_scope: str = ""  # `x-ms-throttle-scope`, verbatim
    hold: HoldKind | None = None
    whole_domain: bool = False  # the same holds for every address of the domain
    whole_target: bool = False  # or for every row that names the same target
    apart: bool = False  # AGAIN only: nobody knows which row was to blame, so each goes in a call of its own
    maybe_processed: bool = False  # RETRY only: mildly in doubt, look first where users can be read
    cause: str = ""  # ours in snake_case, also where `code` is Graph's

    def __repr__(self) -> str:
        """Leave the link out."""
        return f"Verdict({self.kind!r}, {self.code!r}, {self.message!r}, hold={self.hold!r}, status={self.status})"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a cause asks of the caller, and what is told."""

    kind: Kind
    message: str  # see `OperationRules.explain`
    hold: HoldKind | None = None
    whole_domain: bool = False
    whole_target: bool = False
    names_user: bool = False  # Graph's message holds the user's object id


class Cause(StrEnum):
    """Why Graph refuses whatever it is asked, in our words."""

    ABUSE_BLOCK = "abuse_block"
    NO_PERMISSION = "no_permission"
    TOKEN_REFUSED = "token_refused"  # noqa: S105  (a cause, no secret)
    DIRECTORY_FULL = "directory_full"
    STOPPED_FOR_GOOD = "stopped_for_good"
    NO_TARGET_TENANT = "no_target_tenant"
    WRONG_ADDRESS_OF_GRAPH = "wrong_graph_url"
    FOREIGN_ANSWER = "foreign_answer"


SHARED_RULES: Mapping[StrEnum, Rule] = {
    Cause.ABUSE_BLOCK: Rule(
        Kind.HOLD,
        "Microsoft has blocked all invitations of this tenant for suspicious activity. Nothing more is sent: a tenant "
        "administrator must open a support case with Microsoft; then run `usher connections reopen`.",
        HoldKind.ABUSE,
    ),
    Cause.NO_PERMISSION: Rule(
        Kind.HOLD,
        "The application may not {verb}: a tenant administrator must grant the application permission {permission} and "
        "give admin consent. Just granted, it takes a few minutes; usher goes on by itself.",
        HoldKind.PERMISSION,
    ),
    Cause.TOKEN_REFUSED: Rule(
        Kind.TOKEN,
        "Graph refused the access token; usher takes a new one. If that is refused too, check this machine's clock and"
        " the connection's cloud and tenant id.",
    ),
    Cause.DIRECTORY_FULL: Rule(
        Kind.HOLD,
        "The tenant's directory is full: its administrator must purge deleted objects or raise the quota (a verified"
        " domain raises it to 300,000).",
        HoldKind.DIRECTORY_FULL,
    ),
    Cause.STOPPED_FOR_GOOD: Rule(
        Kind.HOLD,
        "Microsoft has stopped this application's requests for good: a tenant administrator must contact Microsoft's"
        " support.",
        HoldKind.TENANT,
    ),
    Cause.NO_TARGET_TENANT: Rule(
        Kind.HOLD,
        "Graph finds no tenant behind the token that could take guests: check the connection's tenant id; a personal"
        " account has none.",
        HoldKind.TENANT,
    ),
    Cause.WRONG_ADDRESS_OF_GRAPH: Rule(
        Kind.HOLD,
        "Something answers at the connection's Graph address, but it does not know what usher asks (status {status}):"
        " check graph_url and cloud of the connection. It said: {raw}",
        HoldKind.TENANT,
    ),
    Cause.FOREIGN_ANSWER: Rule(
        Kind.HOLD,
        "The answer (status {status}) does not come from Graph: check graph_url, the proxy and the firewall between"
        " this machine and Microsoft.",
        HoldKind.TENANT,
    ),
}
TENANT_BLOCKED = (
    "Microsoft has blocked invitations for this tenant, so nothing more is sent: an administrator opens a support case"
    " with Microsoft, and runs `usher connections reopen {connection}` once it is lifted."
)
"""What an abuse block means for a connection that did not meet it itself."""
SHARED_PATTERNS = (
    wording(Cause.ABUSE_BLOCK, r"suspicious activity", r"invitations are blocked for this directory"),
    wording(Cause.NO_PERMISSION, r"insufficient privileges", statuses=(401, 403)),
    wording(Cause.DIRECTORY_FULL, r"exceed the maximum quota count"),
    wording(Cause.NO_TARGET_TENANT, r"unable to find target address", statuses=(400, 404, 500)),
)
"""Looked at before an operation's own: a block of the whole tenant that is mistaken for a bad row
would go on sending.
"""
SHARED_STATUSES: Mapping[int, StrEnum] = {401: Cause.TOKEN_REFUSED, 405: Cause.WRONG_ADDRESS_OF_GRAPH}
_CODES = {
    # Codes that mean one thing with every 4xx; looked at before any wording. With a 5xx the write
    # may still be done.
    "InvalidAuthenticationToken": Cause.TOKEN_REFUSED,
    "Directory_QuotaExceeded": Cause.DIRECTORY_FULL,
    "Request_ThrottledPermanently": Cause.STOPPED_FOR_GOOD,
}


@dataclass(frozen=True, slots=True)
class OperationRules:
    """What an operation knows of Graph's refusals, over what goes for any. `statuses`: what one
    means where no wording is known.

    A 403 or 404 that is not among them ends the row. `verb` and `permission` are put into
    sentences.
    """

    verb: str
    permission: str  # the least application permission; '' where none is needed
    also: frozenset[str] = frozenset()  # application permissions that include it
    is_shown: bool = True  # False: it may be granted where no token tells of it
    without: str = "rows that ask for it wait, and all else goes on"  # what is told to whoever may grant it
    rules: Mapping[StrEnum, Rule] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()  # the first that fits is taken
    statuses: Mapping[int, StrEnum] = field(default_factory=dict)
    protected: StrEnum | None = None  # what a 403 means for one row, where the app has the permission
    read_done: Callable[[GraphAnswer], Verdict] | None = None  # what a success means; None: a call that changes nothing
    unsure: str = "usher does it again, which does no harm."  # said where an answer was lost

    def find_cause(self, status: int, code: str, message: str) -> StrEnum | None:
        """Return why Graph refused, or None when neither the code nor any known wording says so."""
        if 400 <= status < 500 and code in _CODES:
            return _CODES[code]
        return find_cause(status, message, SHARED_PATTERNS) or find_cause(status, message, self.patterns)

    def is_granted(self, roles: frozenset[str] | None) -> bool | None:
        """Whether a token with these roles may do it; None: roles do not tell."""
        if not self.permission:
            return True
        if roles is None:
            return None
        return bool(roles & {self.permission, *self.also}) or (None if not self.is_shown else False)

    def cause_of_status(self, status: int) -> StrEnum | None:
        """Return what a status means by itself."""
        return self.statuses.get(status) or SHARED_STATUSES.get(status)

    def rule(self, cause: StrEnum) -> Rule:
        """Return what a cause means for this operation."""
        return self.rules.get(cause) or SHARED_RULES[cause]

    def explain(self, cause: StrEnum, *, domain: str = "", status: int = 0, raw: str = "") -> str:
        """Return what is said of a guest whom Graph refuses for this cause. `domain`: of the
        address; `raw`: Graph's own words.
        """
        message = (
            self.rule(cause)
            .message.replace("{verb}", self.verb)
            .replace("{permission}", self.permission)
            .replace("{domain}", domain or "the address's domain")
            .replace("{status}", str(status))
            .replace("{raw}", raw or "nothing more.")
        )
        return message if domain else message[:1].upper() + message[1:]
