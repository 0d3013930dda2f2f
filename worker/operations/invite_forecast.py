"""A forecast tells what Graph would say to an invitation, from what could be read beforehand. Pure.

Graph looks at the application, at the tenant's settings, at who is there, at the domain, in this
order. The sentences are those of the real run.
"""

from __future__ import annotations

from worker.graph.causes import Cause
from worker.ledger.model import Row
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.invite_rules import INVITE, InviteCause
from worker.operations.tenant_rules import TenantRules

_PRIVILEGED = frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"})
NEVER_KNOWN = (
    "Nobody can tell beforehand: addresses of groups and contacts, partners whose own tenant refuses, Microsoft's abuse"
    " detection."
)
SUMMARIES = {
    "cross_tenant": "Cross-tenant access settings keep these domains out.",
    "already_exists": "Guests of this tenant already; --resend mails again whoever of them has not accepted.",
    "invited_before": "A job invited them lately; --resend mails again whoever of them has not accepted.",
    "deleted_lately": "Were deleted lately and can still be restored: an invitation makes a new guest.",
}


def foresee_answer(row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
    """Judge as Graph would, asked to invite this guest, whose address is folded."""
    user = seen.user
    if rules.closed:
        return _refused(Cause.NO_PERMISSION if rules.closed == "permission" else InviteCause.INVITES_OFF)
    if row.get("user_type") == "Member" and rules.roles is not None and not rules.roles & _PRIVILEGED:
        why = (
            "The app may not invite members (user_type Member): an administrator gives it a role that may, or the row"
            " asks for a Guest."
        )
        return Foreseen(Would.REFUSE, "member_not_allowed", why, by_graph=True)
    if user is not None:
        if not user.enabled:
            return _refused(InviteCause.ACCOUNT_DISABLED)
        if not user.pending:
            return Foreseen(
                Would.SKIP, InviteCause.ALREADY_GUEST.value, INVITE.explain(InviteCause.ALREADY_GUEST), by_graph=True
            )
        why = "Was invited before and has not accepted: gets a new link, and the earlier one stops working."
        return Foreseen(Would.DO, "invited_again", why)
    domain = address.rpartition("@")[2]
    cause = _domain_cause(domain, seen, rules)
    if cause is not None:
        return _refused(cause, domain)
    if address in rules.deleted:
        when = f" on {rules.deleted[address]}" if rules.deleted[address] else ""
        why = (
            f"Was deleted{when} and can be restored for 30 days from then: an invitation makes a new guest, without the"
            " old one's groups and access. An administrator restores the old one instead, if that is what is wanted."
        )
        return Foreseen(Would.DO, "deleted_lately", why)
    return Foreseen(Would.DO)


def _refused(cause: Cause | InviteCause, domain: str = "") -> Foreseen:
    return Foreseen(Would.REFUSE, cause.value, INVITE.explain(cause, domain=domain), by_graph=True)


def _domain_cause(domain: str, seen: Seen, rules: TenantRules) -> InviteCause | None:
    if domain in (rules.domains or ()):
        return InviteCause.OWN_DOMAIN
    if rules.refuses_domain(domain):
        return InviteCause.BLOCKED_DOMAIN
    return InviteCause.CROSS_TENANT if seen.partner_blocked else None
