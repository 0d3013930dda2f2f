"""A table says what Graph's refusals of an invitation mean: wordings, what follows, the sentence.
Pure.

Sources of the wordings: the vendor's troubleshooting page for external identities, its error
reference and public reports. https://learn.microsoft.com/graph/api/invitation-post
https://learn.microsoft.com/entra/external-id/troubleshoot
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from worker.graph.batch import GraphAnswer
from worker.graph.causes import Cause, HoldKind, Kind, OperationRules, Rule, Verdict
from worker.graph.patterns import wording
from worker.graph.verdicts import decide_lost, text_of
from worker.operations.tenant_rules import INVITE_ROLES


class InviteCause(StrEnum):
    """The causes for which Graph does not invite, in our words."""

    ALREADY_GUEST = "already_guest"
    ACCOUNT_DISABLED = "account_disabled"
    OWN_DOMAIN = "own_domain"
    GROUP_ADDRESS = "group_address"
    BAD_ADDRESS = "bad_address"
    BAD_REDIRECT = "bad_redirect"
    ADDRESS_TAKEN = "address_taken"
    HOME_TENANT_REFUSES = "home_tenant_refuses"
    BLOCKED_DOMAIN = "blocked_domain"
    CROSS_TENANT = "cross_tenant"
    CROSS_CLOUD = "cross_cloud"
    INVITES_OFF = "invites_off"


_RULES: Mapping[StrEnum, Rule] = {
    InviteCause.ALREADY_GUEST: Rule(
        Kind.ALREADY,
        "Already in this tenant and able to sign in, so Microsoft mailed no invitation; it would not with --resend"
        " either.",
        names_user=True,
    ),
    InviteCause.ACCOUNT_DISABLED: Rule(
        Kind.FAILED,
        "This guest exists, but the account is blocked from signing in: an administrator must enable it, then retry the"
        " row.",
        names_user=True,
    ),
    InviteCause.OWN_DOMAIN: Rule(
        Kind.FAILED, "{domain} is a domain of this tenant itself: this is a colleague, who cannot be a guest."
    ),
    InviteCause.GROUP_ADDRESS: Rule(
        Kind.FAILED, "The address belongs to a group or distribution list; invite its members one by one."
    ),
    InviteCause.BAD_ADDRESS: Rule(
        Kind.FAILED,
        "Microsoft does not accept this e-mail address; correct it and submit the row again. It said: {raw}",
    ),
    InviteCause.BAD_REDIRECT: Rule(
        Kind.FAILED,
        "Microsoft does not accept the redirect URL; it must be an absolute http or https URL. It said: {raw}",
    ),
    InviteCause.ADDRESS_TAKEN: Rule(
        Kind.FAILED,
        "Another object of this tenant (a contact or a user) already holds this address: an administrator must remove"
        " or change it, then retry the row.",
    ),
    InviteCause.HOME_TENANT_REFUSES: Rule(
        Kind.FAILED, "This person's home organisation cannot be invited; ask the person for a different address."
    ),
    InviteCause.BLOCKED_DOMAIN: Rule(
        Kind.FAILED,
        "{domain} is blocked by this tenant's external collaboration settings: an administrator must allow the domain"
        " there.",
        None,
        True,
    ),
    InviteCause.CROSS_TENANT: Rule(
        Kind.FAILED,
        "Cross-tenant access settings block guests from {domain}: the administrators of both tenants must allow B2B "
        "collaboration.",
        None,
        True,
    ),
    InviteCause.CROSS_CLOUD: Rule(
        Kind.FAILED,
        "The tenant of {domain} has disabled Microsoft's cross-cloud application: its administrator must enable it"
        " again.",
        None,
        True,
    ),
    InviteCause.INVITES_OFF: Rule(
        Kind.HOLD,
        "This tenant's guest invite settings do not let the application invite: its administrator must change them or"
        " grant the application permission User.Invite.All. A change takes 15 to 60 minutes to work; usher goes on by"
        " itself.",
        HoldKind.TENANT,
    ),
}

# What stops a whole tenant stands first, for a block that is mistaken for a bad row would go on
# sending; then the narrower wording before the wider one.
_PATTERNS = (
    wording(InviteCause.INVITES_OFF, r"guest invitations (are )?not allowed for your company"),
    wording(InviteCause.CROSS_CLOUD, r"cross.?cloud worker"),
    wording(InviteCause.CROSS_TENANT, r"cross.?tenant access"),
    wording(
        InviteCause.ACCOUNT_DISABLED,
        r"already exists.{0,300}blocked from signing in",
        r"account is blocked from signing",
    ),
    wording(InviteCause.ALREADY_GUEST, r"already exists in the directory as object id"),
    wording(InviteCause.OWN_DOMAIN, r"verified domain of this directory"),
    wording(InviteCause.GROUP_ADDRESS, r"group e-?mail address(es)? (is|are) not supported"),
    wording(
        InviteCause.ADDRESS_TAKEN,
        r"conflicting contact object",
        r"same value for property proxyaddresses",
        r"conflicting object",
        r"ambiguous user",
        r"multiple users? .{0,80}same",
    ),
    wording(
        InviteCause.HOME_TENANT_REFUSES,
        r"user can(no|')?t be invited to this directory",
        r"user can’t be invited to this",
    ),
    wording(
        InviteCause.BLOCKED_DOMAIN,
        r"(deny|allow|block).?list",
        r"invitation is not allowed",
        r"domain.{0,120}(is blocked|is not allowed|not permitted|been blocked)",
    ),
    wording(InviteCause.BAD_REDIRECT, r"invite ?redirect ?url", r"redirect ur[il]"),
    wording(
        InviteCause.BAD_ADDRESS,
        r"primary smtp address",
        r"invalid e-?mail",
        r"e-?mail address.{0,80}(invalid|not valid|malformed)",
        r"inviteduseremailaddress",
    ),
)


def read_invitation(answer: GraphAnswer) -> Verdict:
    """Read a 2xx: nearly every answer, so without the detour by which errors are understood."""
    body = answer.body if isinstance(answer.body, dict) else {}
    user, invitation_id, redeem_url = body.get("invitedUser"), body.get("id"), body.get("inviteRedeemUrl")
    user_id = text_of(user.get("id")) if isinstance(user, dict) else ""
    request_id = answer.headers.get("request-id", "")[:100]
    if user_id and body.get("status") != "Error":
        return Verdict(  # by place, as `build_outcome` does
            Kind.DONE,
            "",  # no code
            "Invited.",
            "",  # nothing raw
            answer.status,
            request_id,
            user_id,
            invitation_id if isinstance(invitation_id, str) else "",
            redeem_url if isinstance(redeem_url, str) else "",
        )
    if user_id:  # "Error" is a documented value of invitation.status; what becomes of the guest is not documented
        verdict = decide_lost(INVITE, answer, "invitation_error", "Graph took the invitation, but marked it as failed")
    else:
        verdict = decide_lost(INVITE, answer, "no_invitation", "Graph reported success without an invitation")
    return replace(verdict, user_id=user_id, status=answer.status, request_id=request_id)


INVITE = OperationRules(
    verb="invite guests",
    permission="User.Invite.All",
    also=INVITE_ROLES - {"User.Invite.All"},
    without="nothing can be sent",
    rules=_RULES,
    patterns=_PATTERNS,
    # POST /invitations names no object, so what is missing can only be the address itself. It is
    # not the row's fault, and the next row would fare no better: hold, half-open.
    read_done=read_invitation,
    unsure="the guest may have been invited, so usher looks before it sends again.",
    statuses={403: Cause.NO_PERMISSION, 404: Cause.WRONG_ADDRESS_OF_GRAPH, 410: Cause.WRONG_ADDRESS_OF_GRAPH},
)
