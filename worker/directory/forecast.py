"""What would become of a row, from what could be read beforehand: invite, skip or refuse, and why. Pure.

The order is that of the real run: the index of guests, the look-up before the first send, then Graph, which looks at the application,
at the tenant's settings, at who is there, at the domain. The sentences are the real run's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.directory.lookups import WhyNot
from worker.directory.rules import TenantRules
from worker.graph.causes import Cause
from worker.graph.users import DirectoryUser
from worker.ledger.model import KnownRow, Row, RowState
from worker.operations.invite_precheck import build_known, judge
from worker.operations.invite_rules import INVITE, InviteCause

_PRIVILEGED = frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"})


class Would(StrEnum):
    """What would become of a row."""

    INVITE = "invite"
    SKIP = "skip"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One row's verdict. `by_graph`: Graph would say so, after it was asked."""

    would: Would
    code: str = ""
    why: str = ""
    by_graph: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found out about one row's guest."""

    known: KnownRow | None = None  # invited lately, by any job, and not deleted since as far as anybody can tell
    user: DirectoryUser | None = None
    why_not: WhyNot | None = None  # nobody could tell whether the guest is there
    partner_blocked: bool = False  # by cross-tenant access settings


def foresee(row: Row, address: str, seen: Seen, rules: TenantRules, *, prechecked: bool, resend: bool) -> Foreseen:
    """Judge a row that may be sent, its address folded. `prechecked`: the real run looks people up before the first send."""
    if seen.known is not None and not resend:
        outcome = build_known(seen.known, 0, seen.user)
        return Foreseen(Would.SKIP, outcome.code, outcome.message)
    user = seen.user
    if user is not None and prechecked:
        outcome = judge(0, user, 0)
        would = Would.SKIP if outcome.letter is RowState.ALREADY_GUEST else Would.REFUSE
        return Foreseen(would, outcome.code, outcome.message)
    return _ask_graph(row, address, seen, rules)


def _ask_graph(row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
    """Judge as Graph would, asked to invite this guest."""
    user = seen.user
    if rules.closed:
        return _refused(Cause.NO_PERMISSION if rules.closed == "permission" else InviteCause.INVITES_OFF)
    if row.get("user_type") == "Member" and rules.roles is not None and not rules.roles & _PRIVILEGED:
        why = "The app may not invite members (user_type Member): an administrator gives it a role that may, or the row asks for a Guest."
        return Foreseen(Would.REFUSE, "member_not_allowed", why, by_graph=True)
    if user is not None:
        if not user.enabled:
            return _refused(InviteCause.ACCOUNT_DISABLED)
        if not user.pending:
            return Foreseen(
                Would.SKIP, InviteCause.ALREADY_GUEST.value, INVITE.explain(InviteCause.ALREADY_GUEST), by_graph=True
            )
        why = "Was invited before and has not accepted: gets a new link, and the earlier one stops working."
        return Foreseen(Would.INVITE, "invited_again", why)
    domain = address.rpartition("@")[2]
    cause = _domain_cause(domain, seen, rules)
    if cause is not None:
        return _refused(cause, domain)
    if address in rules.deleted:
        when = f" on {rules.deleted[address]}" if rules.deleted[address] else ""
        why = (
            f"Was deleted{when} and can be restored for 30 days from then: an invitation makes a new guest, without the old one's "
            "groups and access. An administrator restores the old one instead, if that is what is wanted."
        )
        return Foreseen(Would.INVITE, "deleted_lately", why)
    if seen.why_not is not None:
        return Foreseen(Would.INVITE, "not_looked_up", "Nobody could look whether this guest is there already.")
    return Foreseen(Would.INVITE)


def _refused(cause: Cause | InviteCause, domain: str = "") -> Foreseen:
    return Foreseen(Would.REFUSE, cause.value, INVITE.explain(cause, domain=domain), by_graph=True)


def _domain_cause(domain: str, seen: Seen, rules: TenantRules) -> InviteCause | None:
    if domain in (rules.domains or ()):
        return InviteCause.OWN_DOMAIN
    if rules.refuses_domain(domain):
        return InviteCause.BLOCKED_DOMAIN
    return InviteCause.CROSS_TENANT if seen.partner_blocked else None
