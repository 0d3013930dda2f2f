from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from worker.graph.batch import NOTE_WHOLE_BATCH, Fate, GraphAnswer
from worker.graph.causes import SHARED_RULES, Cause, HoldKind, Kind, OperationRules, Verdict
from worker.graph.patterns import Pattern
from worker.graph.verdicts import READ_USERS, decide
from worker.operations.again.reset_rules import RESET, ResetCause
from worker.operations.invite_rules import INVITE, InviteCause

GUID = "0f3c1b2a-1111-4222-8333-444455556666"
EMAIL = "ada@partner.example"


def answer(
    status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None, note: str = ""
) -> GraphAnswer:
    """Return an answer with Graph's error body."""
    body: Any = {"error": {"code": code, "message": message}} if code or message else None
    return GraphAnswer(Fate.ANSWERED, status, headers or {}, body, note)


@dataclass(frozen=True)
class Row:
    """A row of the error table: what Graph says, what it means."""

    status: int
    code: str
    message: str
    kind: Kind
    hold: HoldKind | None = None
    whole_domain: bool = False
    cause: str = ""


BAD = "BadRequest"
TABLE = {
    "already there": Row(
        400,
        BAD,
        f"The invited user already exists in the directory as object ID: {GUID}. They can use that account to sign in.",
        Kind.ALREADY,
        cause="already_guest",
    ),
    "already there, noted as 409": Row(
        409,
        "Conflict",
        f"The invited user already exists in the directory as object ID: {GUID}.",
        Kind.ALREADY,
        cause="already_guest",
    ),
    "there but blocked": Row(
        400,
        BAD,
        f"The invited user already exists in the directory as object ID: {GUID}, but the account is blocked from"
        " signing in.",
        Kind.FAILED,
        cause="account_disabled",
    ),
    "own domain": Row(
        400,
        BAD,
        "This user cannot be invited because the domain of the user's email address is a verified domain of this"
        " directory.",
        Kind.FAILED,
        cause="own_domain",
    ),
    "group address": Row(400, BAD, "Group email address is not supported", Kind.FAILED, cause="group_address"),
    "primary smtp": Row(400, BAD, "The primary SMTP address is invalid.", Kind.FAILED, cause="bad_address"),
    "redirect": Row(400, BAD, "Invalid value specified for inviteRedirectUrl.", Kind.FAILED, cause="bad_redirect"),
    "contact": Row(400, BAD, "A conflicting contact object exists.", Kind.FAILED, cause="address_taken"),
    "proxy addresses": Row(
        400,
        "Request_BadRequest",
        "Another object with the same value for property proxyAddresses already exists.",
        Kind.FAILED,
        cause="address_taken",
    ),
    "home tenant": Row(
        403,
        "Forbidden",
        "This user can't be invited to this directory. Please try a different email address.",
        Kind.FAILED,
        cause="home_tenant_refuses",
    ),
    "deny list": Row(
        400,
        BAD,
        "The invitation is not allowed: the domain is on the deny list.",
        Kind.FAILED,
        whole_domain=True,
        cause="blocked_domain",
    ),
    "cross-tenant": Row(
        403,
        "Forbidden",
        "This invitation is blocked by cross-tenant access settings. Admins in both organizations must allow it.",
        Kind.FAILED,
        whole_domain=True,
        cause="cross_tenant",
    ),
    "cross-cloud": Row(
        400,
        BAD,
        "The Microsoft B2B Cross Cloud Worker application has been disabled in the invited user's tenant.",
        Kind.FAILED,
        whole_domain=True,
        cause="cross_cloud",
    ),
    "invites off": Row(
        403,
        "Forbidden",
        "Guest invitations not allowed for your company. Contact your company administrator for more details.",
        Kind.HOLD,
        HoldKind.TENANT,
        cause="invites_off",
    ),
    "abuse": Row(
        403,
        "Forbidden",
        "Invitations are blocked for this directory due to suspicious activity.",
        Kind.HOLD,
        HoldKind.ABUSE,
        cause="abuse_block",
    ),
    "permission as 401": Row(
        401,
        "Unauthorized",
        "Insufficient privileges to perform requested operation by the application"
        " '00000000-0000-0000-0000-000000000000'. ControllerName=MSGraphInviteAPI, ActionName=CreateInvite",
        Kind.HOLD,
        HoldKind.PERMISSION,
        cause="no_permission",
    ),
    "permission as 403": Row(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
        Kind.HOLD,
        HoldKind.PERMISSION,
        cause="no_permission",
    ),
    "unknown 403": Row(403, "Forbidden", "The moon is full.", Kind.HOLD, HoldKind.PERMISSION, cause="no_permission"),
    "token": Row(401, "InvalidAuthenticationToken", "Access token has expired.", Kind.TOKEN, cause="token_refused"),
    "401 without words": Row(401, "", "", Kind.TOKEN, cause="token_refused"),
    "directory full": Row(
        403,
        "Directory_QuotaExceeded",
        "The directory object quota would exceed the maximum quota count.",
        Kind.HOLD,
        HoldKind.DIRECTORY_FULL,
        cause="directory_full",
    ),
    "throttled": Row(429, "Request_ThrottledTemporarily", "Slow down", Kind.THROTTLED, cause="throttled"),
    "throttled without words": Row(429, "", "", Kind.THROTTLED, cause="throttled"),
    "throttled for good": Row(
        429, "Request_ThrottledPermanently", "", Kind.HOLD, HoldKind.TENANT, cause="stopped_for_good"
    ),
    "no target tenant": Row(
        500,
        "InternalServerError",
        "Unable to find target address",
        Kind.HOLD,
        HoldKind.TENANT,
        cause="no_target_tenant",
    ),
    "500": Row(500, "InternalServerError", "Oops", Kind.IN_DOUBT, cause="in_doubt"),
    "502 from a gateway": Row(502, "", "", Kind.IN_DOUBT, cause="in_doubt"),
    "504": Row(504, "UnknownError", "", Kind.IN_DOUBT, cause="in_doubt"),
    "503 without a time": Row(503, "serviceNotAvailable", "", Kind.IN_DOUBT, cause="in_doubt"),
    "408": Row(408, "", "", Kind.IN_DOUBT, cause="in_doubt"),
    "unknown 400": Row(400, BAD, "Nobody has seen this before.", Kind.FAILED, cause="refused"),
    "400 without words": Row(400, "", "", Kind.FAILED, cause="refused"),
    "404 of Graph": Row(
        404,
        "ResourceNotFound",
        "Resource not found for the segment 'invitations'.",
        Kind.HOLD,
        HoldKind.TENANT,
        cause="wrong_graph_url",
    ),
    "404 of somebody else": Row(404, "", "", Kind.HOLD, HoldKind.TENANT, cause="foreign_answer"),
    "403 of a firewall": Row(403, "", "", Kind.HOLD, HoldKind.TENANT, cause="foreign_answer"),
    "redirect to a login page": Row(302, "", "", Kind.HOLD, HoldKind.TENANT, cause="foreign_answer"),
    "unknown 4xx": Row(451, "Legal", "For legal reasons.", Kind.FAILED, cause="refused"),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_every_row_of_the_error_table(row: Row) -> None:
    """Each cause is told apart, and its sentence is for people."""
    verdict = decide(INVITE, answer(row.status, row.code, row.message), email=EMAIL)
    assert (verdict.kind, verdict.hold, verdict.whole_domain, verdict.cause) == (
        row.kind,
        row.hold,
        row.whole_domain,
        row.cause,
    )
    assert verdict.status == row.status
    assert verdict.code == row.code or not row.code
    assert verdict.message[0].isupper() or verdict.message.startswith("partner.example")
    assert "ada@" not in verdict.message


def test_existing_guest_is_named() -> None:
    """The id of an existing guest is taken from the text."""
    row = TABLE["already there"]
    verdict = decide(INVITE, answer(row.status, row.code, row.message))
    assert verdict.user_id == GUID


def test_every_cause_has_a_rule() -> None:
    """A new cause without a sentence does not get through."""
    assert set(SHARED_RULES) == set(Cause)
    assert set(INVITE.rules) == set(InviteCause)
    assert set(RESET.rules) == set(ResetCause)


def test_table_of_wordings_is_replaceable() -> None:
    """When Microsoft rewords, only the table changes."""
    rules = replace(INVITE, patterns=(Pattern(InviteCause.OWN_DOMAIN, re.compile("new wording")),))
    assert decide(rules, answer(400, BAD, "A new wording")).cause == "own_domain"
    assert rules.find_cause(400, BAD, TABLE["own domain"].message) is None


INVITES_OFF = TABLE["invites off"]


@pytest.mark.parametrize(
    ("refused", "cause"),
    [
        (answer(INVITES_OFF.status, INVITES_OFF.code, INVITES_OFF.message), "not_this_guest"),
        (answer(403, "Forbidden", "Generic authorization exception."), "not_this_guest"),
        (answer(400, BAD, "The address doesn't match any emails on the user object."), "address_not_theirs"),
        (answer(403, "Forbidden", "The moon is full."), "refused"),
        (answer(404, "Request_ResourceNotFound", "Resource does not exist."), "refused"),
    ],
)
def test_what_is_about_one_guest_in_a_reset_holds_nobody_else(refused: GraphAnswer, cause: str) -> None:
    """Graph refuses to reset whoever has a role, in the words with which it refuses all
    invitations: the row ends, the rest goes on.
    """
    verdict = decide(RESET, refused)
    assert (verdict.kind, verdict.hold, verdict.cause) == (Kind.FAILED, None, cause)
    assert decide(INVITE, refused).cause != cause


@pytest.mark.parametrize("rules", [INVITE, RESET], ids=["invite", "reset"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("abuse", Kind.HOLD),
        ("permission as 403", Kind.HOLD),
        ("directory full", Kind.HOLD),
        ("token", Kind.TOKEN),
        ("401 without words", Kind.TOKEN),
    ],
)
def test_what_any_operation_may_meet_means_the_same_for_each(rules: OperationRules, name: str, kind: Kind) -> None:
    """A block, a full directory, a refused token; a missing permission is named as the operation's
    own.
    """
    row = TABLE[name]
    verdict = decide(rules, answer(row.status, row.code, row.message))
    assert (verdict.kind, verdict.hold, verdict.cause) == (kind, row.hold, row.cause)
    if row.cause == "no_permission":
        assert rules.permission in verdict.message


def invitation(**changes: Any) -> GraphAnswer:
    """Return Graph's answer to a good invitation."""
    body = {
        "id": "inv-1",
        "inviteRedeemUrl": "https://login.example/redeem?ticket=t",
        "status": "PendingAcceptance",
        "invitedUser": {"id": GUID},
        **changes,
    }
    return GraphAnswer(Fate.ANSWERED, 201, {"request-id": "r-1"}, body)


@pytest.mark.parametrize("status", [200, 201])
def test_good_invitation(status: int) -> None:
    """A guest with an id is a guest."""
    good = invitation()
    verdict = decide(INVITE, GraphAnswer(Fate.ANSWERED, status, good.headers, good.body))
    assert (verdict.kind, verdict.user_id, verdict.invitation_id) == (Kind.DONE, GUID, "inv-1")
    assert verdict.redeem_url.endswith("ticket=t")
    assert verdict.request_id == "r-1"
    assert "ticket" not in repr(verdict)


@pytest.mark.parametrize("changes", [{"invitedUser": None}, {"invitedUser": {"id": ""}}, {"status": "Error"}])
def test_success_without_a_guest_is_in_doubt(changes: dict[str, Any]) -> None:
    """201 alone proves nothing."""
    assert decide(INVITE, invitation(**changes)).kind is Kind.IN_DOUBT


def test_fates_without_an_answer() -> None:
    """What never left may be sent again; what may have left is looked up."""
    assert decide(INVITE, GraphAnswer(Fate.NOT_SENT)).kind is Kind.RETRY
    assert not decide(INVITE, GraphAnswer(Fate.NOT_SENT)).maybe_processed
    assert decide(INVITE, GraphAnswer(Fate.LOST, note="reset")).kind is Kind.IN_DOUBT


def test_503_with_a_time_is_mildly_in_doubt() -> None:
    """Graph's word is taken, and the caller told that it may look first."""
    verdict = decide(INVITE, answer(503, "Directory_ConcurrencyViolation", "", {"retry-after": "2"}))
    assert (verdict.kind, verdict.retry_after_s, verdict.maybe_processed) == (Kind.RETRY, 2.0, True)


def test_throttle_carries_time_and_scope() -> None:
    """The gate closes for what Graph names, as long as it names."""
    headers = {"retry-after": "7", "x-ms-throttle-scope": "Tenant/Write/app/tenant"}
    verdict = decide(INVITE, answer(429, "TooManyRequests", "", headers))
    assert (verdict.retry_after_s, verdict.throttle_scope) == (7.0, "Tenant/Write/app/tenant")
    assert decide(INVITE, answer(429)).retry_after_s is None


def test_refused_batch_is_nobodys_row() -> None:
    """Rows that were refused together are not failed together."""
    refused = answer(400, BAD, "Content-Type header is missing", note=NOTE_WHOLE_BATCH)
    verdict = decide(INVITE, refused)
    assert (verdict.kind, verdict.hold) == (Kind.HOLD, HoldKind.TENANT)


def test_sentences_name_the_domain_and_never_the_person() -> None:
    """A verdict may travel in Celery's results: no local part, no ticket."""
    message = f"{EMAIL} is odd, see https://login.example/redeem?ticket=secret now"
    verdict = decide(INVITE, answer(400, BAD, message), email=EMAIL)
    assert verdict.raw == "…@partner.example is odd, see https://login.example/redeem now"
    own = decide(INVITE, answer(400, BAD, TABLE["own domain"].message), email=EMAIL)
    assert own.message.startswith("partner.example is a domain of this tenant")


def test_request_id_is_found_in_the_body_too() -> None:
    """Microsoft's support asks for it; items of a batch have it only there."""
    body = {"error": {"code": "X", "message": "y", "innerError": {"request-id": "inner"}}}
    assert decide(INVITE, GraphAnswer(Fate.ANSWERED, 400, {}, body)).request_id == "inner"


READS: list[tuple[GraphAnswer, Kind, str]] = [
    (GraphAnswer(Fate.ANSWERED, 200, {}, {"value": []}), Kind.OK, ""),
    (GraphAnswer(Fate.ANSWERED, 200, {}, None), Kind.RETRY, "no_answer"),
    (GraphAnswer(Fate.LOST), Kind.RETRY, "lost"),
    (GraphAnswer(Fate.NOT_SENT), Kind.RETRY, "not_sent"),
    (answer(403, "Authorization_RequestDenied", "Insufficient privileges"), Kind.FAILED, "may_not_read"),
    (answer(403), Kind.FAILED, "may_not_read"),
    (answer(401, "Unauthorized", "Insufficient privileges"), Kind.FAILED, "may_not_read"),
    (answer(401, "InvalidAuthenticationToken"), Kind.TOKEN, "token_refused"),
    (answer(429), Kind.THROTTLED, "throttled"),
    (answer(500), Kind.RETRY, "unavailable"),
    (answer(504), Kind.RETRY, "unavailable"),
    (answer(400, BAD, "Invalid filter"), Kind.FAILED, "not_readable"),
    (answer(404, "Request_ResourceNotFound"), Kind.FAILED, "not_readable"),
]


@pytest.mark.parametrize(("read", "kind", "cause"), READS)
def test_a_read_never_holds(read: GraphAnswer, kind: Kind, cause: str) -> None:
    """403 on a read means "may not read"; the connection goes on inviting."""
    verdict: Verdict = decide(READ_USERS, read)
    assert (verdict.kind, verdict.cause, verdict.hold) == (kind, cause, None)
    if cause == "may_not_read":
        assert "User.Read.All" in verdict.message
