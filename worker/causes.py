"""What each known cause of a refusal means: for the row, for the connection, and in words. Pure.

`patterns.py` tells the causes apart; `verdicts.py` judges what has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.patterns import Cause


class Kind(StrEnum):
    """What a verdict asks of the caller."""

    INVITED = "invited"  # the row ends well
    ALREADY_GUEST = "already_guest"  # the row ends well, nothing was sent
    FAILED = "failed"  # the row ends; for a read: not to be had
    THROTTLED = "throttled"  # refused before processing; the gate closes for `retry_after_s`
    RETRY = "retry"  # may be sent again; see `maybe_processed`
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


@dataclass(frozen=True, slots=True)
class Rule:
    """What a cause asks of the caller, and what is told."""

    kind: Kind
    message: str  # {domain}: of the invited address, "This domain" where it is not known; {raw}: Graph's own words
    hold: HoldKind | None = None
    whole_domain: bool = False


RULES: dict[Cause, Rule] = {
    Cause.ALREADY_GUEST: Rule(
        Kind.ALREADY_GUEST,
        "Already in this tenant and able to sign in, so Microsoft mailed no invitation; it would not with --resend either.",
    ),
    Cause.ACCOUNT_DISABLED: Rule(
        Kind.FAILED,
        "This guest exists, but the account is blocked from signing in: an administrator must enable it, then retry the row.",
    ),
    Cause.OWN_DOMAIN: Rule(
        Kind.FAILED,
        "{domain} is a domain of this tenant itself: this is a colleague, who cannot be a guest.",
    ),
    Cause.GROUP_ADDRESS: Rule(
        Kind.FAILED, "The address belongs to a group or distribution list; invite its members one by one."
    ),
    Cause.BAD_ADDRESS: Rule(
        Kind.FAILED,
        "Microsoft does not accept this e-mail address; correct it and submit the row again. It said: {raw}",
    ),
    Cause.BAD_REDIRECT: Rule(
        Kind.FAILED,
        "Microsoft does not accept the redirect URL; it must be an absolute http or https URL. It said: {raw}",
    ),
    Cause.ADDRESS_TAKEN: Rule(
        Kind.FAILED,
        "Another object of this tenant (a contact or a user) already holds this address: an administrator must remove or "
        "change it, then retry the row.",
    ),
    Cause.HOME_TENANT_REFUSES: Rule(
        Kind.FAILED, "This person's home organisation cannot be invited; ask the person for a different address."
    ),
    Cause.BLOCKED_DOMAIN: Rule(
        Kind.FAILED,
        "{domain} is blocked by this tenant's external collaboration settings: an administrator must allow the domain there.",
        None,
        True,
    ),
    Cause.CROSS_TENANT: Rule(
        Kind.FAILED,
        "Cross-tenant access settings block guests from {domain}: the administrators of both tenants must allow B2B "
        "collaboration.",
        None,
        True,
    ),
    Cause.CROSS_CLOUD: Rule(
        Kind.FAILED,
        "The tenant of {domain} has disabled Microsoft's cross-cloud application: its administrator must enable it again.",
        None,
        True,
    ),
    Cause.INVITES_OFF: Rule(
        Kind.HOLD,
        "This tenant's guest invite settings do not let the application invite: its administrator must change them or grant "
        "the application permission User.Invite.All. A change takes 15 to 60 minutes to work; usher goes on by itself.",
        HoldKind.TENANT,
    ),
    Cause.ABUSE_BLOCK: Rule(
        Kind.HOLD,
        "Microsoft has blocked all invitations of this tenant for suspicious activity. Nothing more is sent: a tenant "
        "administrator must open a support case with Microsoft; then run `usher connections reopen`.",
        HoldKind.ABUSE,
    ),
    Cause.NO_PERMISSION: Rule(
        Kind.HOLD,
        "The application may not invite: a tenant administrator must grant the application permission User.Invite.All and "
        "give admin consent. Just granted, it takes a few minutes; usher goes on by itself.",
        HoldKind.PERMISSION,
    ),
    Cause.TOKEN_REFUSED: Rule(
        Kind.TOKEN,
        "Graph refused the access token; usher takes a new one. If that is refused too, check this machine's clock and the "
        "connection's cloud and tenant id.",
    ),
    Cause.DIRECTORY_FULL: Rule(
        Kind.HOLD,
        "The tenant's directory is full: its administrator must purge deleted objects or raise the quota (a verified domain "
        "raises it to 300,000).",
        HoldKind.DIRECTORY_FULL,
    ),
    Cause.STOPPED_FOR_GOOD: Rule(
        Kind.HOLD,
        "Microsoft has stopped this application's requests for good: a tenant administrator must contact Microsoft's support.",
        HoldKind.TENANT,
    ),
    Cause.NO_TARGET_TENANT: Rule(
        Kind.HOLD,
        "Graph finds no tenant behind the token that could take guests: check the connection's tenant id; a personal account "
        "has none.",
        HoldKind.TENANT,
    ),
    Cause.WRONG_ADDRESS_OF_GRAPH: Rule(
        Kind.HOLD,
        "Something answers at the connection's Graph address, but it knows no invitations (status {status}): check graph_url "
        "and cloud of the connection. It said: {raw}",
        HoldKind.TENANT,
    ),
    Cause.FOREIGN_ANSWER: Rule(
        Kind.HOLD,
        "The answer (status {status}) does not come from Graph: check graph_url, the proxy and the firewall between this "
        "machine and Microsoft.",
        HoldKind.TENANT,
    ),
}


def explain_cause(cause: Cause, domain: str = "") -> str:
    """Return what is said of a guest whom Graph refuses for this cause, for a row whose refusal is foreseen."""
    message = RULES[cause].message.replace("{domain}", domain or "the address's domain")
    return message if domain else message[:1].upper() + message[1:]
