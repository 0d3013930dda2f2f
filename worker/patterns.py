"""Graph's wordings for one cause each: the replaceable layer under `worker.verdicts`. Pure.

`/invitations` answers many causes under one code (`BadRequest`, `Forbidden`, `Unauthorized`), so after status and code
the message has to speak. Microsoft advises against it and rewords at will: hence one table, looked at only where status
and code leave the cause open, and an unknown wording is never worse than an unknown error.
Sources of the wordings: the vendor's troubleshooting page for external identities, its error reference and public
reports. https://learn.microsoft.com/graph/errors  https://learn.microsoft.com/entra/external-id/troubleshoot
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why Graph did not invite, in our words; what follows from each is decided in `worker.verdicts`."""

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
    ABUSE_BLOCK = "abuse_block"
    NO_PERMISSION = "no_permission"
    TOKEN_REFUSED = "token_refused"  # noqa: S105  (a cause, no secret)
    DIRECTORY_FULL = "directory_full"
    STOPPED_FOR_GOOD = "stopped_for_good"
    NO_TARGET_TENANT = "no_target_tenant"
    WRONG_ADDRESS_OF_GRAPH = "wrong_graph_url"
    FOREIGN_ANSWER = "foreign_answer"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A cause and the wordings that give it away; `statuses` empty means any 4xx that is not 401 or 429."""

    cause: Cause
    text: re.Pattern[str]
    statuses: frozenset[int] = frozenset()


def _pattern(cause: Cause, *wordings: str, statuses: Sequence[int] = ()) -> Pattern:
    return Pattern(cause, re.compile("|".join(wordings), re.IGNORECASE), frozenset(statuses))


# Order matters: the first that fits is taken. What stops a whole tenant stands first, for a block that is mistaken for
# a bad row would go on sending; then the narrower wording before the wider one.
PATTERNS: tuple[Pattern, ...] = (
    _pattern(Cause.ABUSE_BLOCK, r"suspicious activity", r"invitations are blocked for this directory"),
    _pattern(Cause.INVITES_OFF, r"guest invitations (are )?not allowed for your company"),
    _pattern(Cause.NO_PERMISSION, r"insufficient privileges", statuses=(401, 403)),
    _pattern(Cause.DIRECTORY_FULL, r"exceed the maximum quota count"),
    _pattern(Cause.NO_TARGET_TENANT, r"unable to find target address", statuses=(400, 404, 500)),
    _pattern(Cause.CROSS_CLOUD, r"cross.?cloud worker"),
    _pattern(Cause.CROSS_TENANT, r"cross.?tenant access"),
    _pattern(
        Cause.ACCOUNT_DISABLED, r"already exists.{0,300}blocked from signing in", r"account is blocked from signing"
    ),
    _pattern(Cause.ALREADY_GUEST, r"already exists in the directory as object id"),
    _pattern(Cause.OWN_DOMAIN, r"verified domain of this directory"),
    _pattern(Cause.GROUP_ADDRESS, r"group e-?mail address(es)? (is|are) not supported"),
    _pattern(
        Cause.ADDRESS_TAKEN,
        r"conflicting contact object",
        r"same value for property proxyaddresses",
        r"conflicting object",
        r"ambiguous user",
        r"multiple users? .{0,80}same",
    ),
    _pattern(
        Cause.HOME_TENANT_REFUSES, r"user can(no|')?t be invited to this directory", r"user can’t be invited to this"
    ),
    _pattern(
        Cause.BLOCKED_DOMAIN,
        r"(deny|allow|block).?list",
        r"invitation is not allowed",
        r"domain.{0,120}(is blocked|is not allowed|not permitted|been blocked)",
    ),
    _pattern(Cause.BAD_REDIRECT, r"invite ?redirect ?url", r"redirect ur[il]"),
    _pattern(
        Cause.BAD_ADDRESS,
        r"primary smtp address",
        r"invalid e-?mail",
        r"e-?mail address.{0,80}(invalid|not valid|malformed)",
        r"inviteduseremailaddress",
    ),
)

_CAUSE_BY_CODE = {
    # Codes that mean one thing with every 4xx; looked at before any wording. With a 5xx the write may still be done.
    "InvalidAuthenticationToken": Cause.TOKEN_REFUSED,
    "Directory_QuotaExceeded": Cause.DIRECTORY_FULL,
    "Request_ThrottledPermanently": Cause.STOPPED_FOR_GOOD,
}


def find_cause(status: int, code: str, message: str, table: Sequence[Pattern] = PATTERNS) -> Cause | None:
    """Return why Graph refused, or None when neither the code nor any known wording says so."""
    if 400 <= status < 500 and code in _CAUSE_BY_CODE:
        return _CAUSE_BY_CODE[code]
    for pattern in table:
        fits = status in pattern.statuses if pattern.statuses else 400 <= status < 500 and status not in (401, 429)
        if fits and pattern.text.search(message):
            return pattern.cause
    return None
