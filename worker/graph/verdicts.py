"""An answer of Graph gets a verdict: what it means for the row and the connection. Pure and total.

Status and code first, then the wordings that the operation brings along (`causes.py`). Three
questions are kept apart: is it the *row* (it ends), the *connection* (its gate closes or is held,
the row waits), or is it *in doubt* (the guest may have been invited; nobody sends again before
looking)? A verdict depends on the operation: 403 on a read means "may not read", never a hold.
https://learn.microsoft.com/graph/api/invitation-post  https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from config.values import fold_domain
from worker.graph.batch import NOTE_WHOLE_BATCH, Fate, GraphAnswer
from worker.graph.causes import Cause, HoldKind, Kind, OperationRules, Verdict
from worker.graph.retry import parse_retry_after

_RAW_LIMIT = 500
"""Characters of Graph's message that are kept; a proxy's error can be a whole page."""

_ADDRESS = re.compile(r"[^\s@<>()\[\]'\",;:]{1,64}@(?=[^\s@])")
_QUERY = re.compile(r"(https?://[^\s?'\"<>]{1,300})\?[^\s'\"<>]*", re.IGNORECASE)
_GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)


def _reading(permission: str) -> OperationRules:
    return OperationRules(verb="read this", permission=permission)


READ_USERS = _reading("User.Read.All")
READ_ORGANIZATION = _reading("Organization.Read.All")
READ_POLICY = _reading("Policy.Read.All")
READ_DELETED = _reading("User.Read.All")
READ_GROUPS = _reading("GroupMember.Read.All")


def decide(rules: OperationRules, answer: GraphAnswer, *, email: str = "") -> Verdict:
    """Return what an answer means to whoever asked by `rules`. Never raises, whatever the body.

    `email` is the guest's address; only its domain ever appears in a sentence.
    """
    if rules.read_done and answer.fate is Fate.ANSWERED and 200 <= answer.status < 300:
        return rules.read_done(answer)
    spoken = _Spoken.of(answer, email)
    verdict = _decide_write(answer, spoken, rules) if rules.read_done else _decide_read(answer, spoken, rules)
    return replace(
        verdict,
        raw=spoken.raw,
        status=answer.status if answer.fate is Fate.ANSWERED else 0,
        request_id=spoken.request_id,
        throttle_scope=answer.headers.get("x-ms-throttle-scope", ""),
    )


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What Graph said, whatever shape it came in."""

    code: str
    message: str  # whole, for the patterns
    raw: str  # shortened and without local parts, for people
    request_id: str
    domain: str

    @staticmethod
    def of(answer: GraphAnswer, email: str) -> _Spoken:
        body = answer.body if isinstance(answer.body, dict) else {}
        error = body.get("error")
        if isinstance(error, dict):
            code, message, inner = text_of(error.get("code")), text_of(error.get("message")), error.get("innerError")
        else:  # the sign-in service's shape, which some gateways answer with
            code, message, inner = text_of(error), text_of(body.get("error_description")), None
        request_id = answer.headers.get("request-id", "")
        if not request_id and isinstance(inner, dict):
            request_id = text_of(inner.get("request-id"))
        domain = email.rpartition("@")[2] if "@" in email else ""
        return _Spoken(
            code[:100], message[:4000], clean_message(message), request_id[:100], fold_domain(domain) if domain else ""
        )


def text_of(value: Any) -> str:
    """Return a value of a foreign answer if it is text, else ''."""
    return value if isinstance(value, str) else ""


def clean_message(message: str) -> str:
    """Shorten a foreign message and take out what may identify or let in a person."""
    one_line = " ".join(message[: 4 * _RAW_LIMIT].split())
    return _QUERY.sub(r"\1", _ADDRESS.sub("…@", one_line))[:_RAW_LIMIT]


def _decide_write(answer: GraphAnswer, spoken: _Spoken, rules: OperationRules) -> Verdict:
    if answer.fate is Fate.NOT_SENT:
        return Verdict(
            Kind.RETRY,
            "not_sent",
            "Graph could not be reached; nothing was sent and usher tries again.",
            cause="not_sent",
        )
    if answer.fate is Fate.LOST:
        return decide_lost(rules, answer, "answer_lost", "The request was sent, but no usable answer came back")
    cause = rules.find_cause(answer.status, spoken.code, spoken.message)
    if cause is not None:
        return _apply(cause, answer, spoken, rules)
    return _decide_by_status(answer, spoken, rules)


def _decide_by_status(answer: GraphAnswer, spoken: _Spoken, rules: OperationRules) -> Verdict:
    """Decide where neither the code nor a known wording gave the cause away."""
    status = answer.status
    if status == 429:
        return _throttled(answer, spoken)
    if status == 503:
        return _unavailable(answer, spoken, rules)
    if status >= 500 or status == 408 or status < 200:
        # 500, 502, 504: the write may be done. 408: the server gave up on us at a time that we do
        # not know.
        return decide_lost(rules, answer, spoken.code or f"status_{status}", f"Graph answered with status {status}")
    if answer.note == NOTE_WHOLE_BATCH and status in _ABOUT_THE_REQUEST:
        return _batch_refused(answer, spoken)
    if status < 400 or (not spoken.code and not spoken.message and status not in {401, *_ABOUT_THE_REQUEST}):
        # A redirect (never followed: the token would travel) or a body that no Graph writes.
        return _apply(Cause.FOREIGN_ANSWER, answer, spoken, rules)
    cause = rules.cause_of_status(status)
    if cause is not None:
        return _named(_apply(cause, answer, spoken, rules), cause, spoken, rules)
    reason = (
        f": {spoken.raw or spoken.code}" if spoken.raw or spoken.code else f" with status {status} and gave no reason."
    )
    return Verdict(Kind.FAILED, spoken.code or f"status_{status}", f"Graph refused this guest{reason}", cause="refused")


_ABOUT_THE_REQUEST = frozenset({400, 409, 413, 415, 422})
"""Statuses that judge what was sent: the row, or the batch as a whole where they were given to it.
"""


def _throttled(answer: GraphAnswer, spoken: _Spoken) -> Verdict:
    return Verdict(
        Kind.THROTTLED,
        spoken.code or "throttled",
        "Microsoft is slowing this tenant's requests down; usher waits and goes on by itself.",
        retry_after_s=parse_retry_after(answer.headers),
        cause="throttled",
    )


def _unavailable(answer: GraphAnswer, spoken: _Spoken, rules: OperationRules) -> Verdict:
    code = spoken.code or "unavailable"
    wait_s = parse_retry_after(answer.headers)
    if wait_s is None:
        return decide_lost(rules, answer, code, "Graph was not available")
    return Verdict(
        Kind.RETRY,
        code,
        "Graph was not available for a moment; usher tries again.",
        retry_after_s=wait_s,
        maybe_processed=True,
        cause="unavailable",
    )


def _named(verdict: Verdict, cause: StrEnum, spoken: _Spoken, rules: OperationRules) -> Verdict:
    """Add Graph's own words where it forbids for a reason that only they may tell."""
    if cause is not Cause.NO_PERMISSION or spoken.code == "Authorization_RequestDenied" or not spoken.raw:
        return verdict
    return replace(
        verdict,
        message=(
            f"Graph does not let the application {rules.verb} and says: “{spoken.raw}” If that does not tell what to"
            f" do, a tenant administrator must check the permission {rules.permission} and its admin consent."
        ),
    )


def _batch_refused(answer: GraphAnswer, spoken: _Spoken) -> Verdict:
    """Hold: refused together, no row can be blamed; the half-open row is sent alone."""
    return Verdict(
        Kind.HOLD,
        spoken.code or "batch_refused",
        f"Graph refused a batch as a whole (status {answer.status}), which usher should never cause: please report it. "
        f"It said: {spoken.raw or 'nothing more.'}",
        hold=HoldKind.TENANT,
        cause="batch_refused",
    )


def decide_lost(rules: OperationRules, answer: GraphAnswer, code: str, happened: str) -> Verdict:
    """Say that nobody knows whether it was carried out."""
    why = f" ({answer.note})" if answer.note and answer.note != NOTE_WHOLE_BATCH else ""
    return Verdict(Kind.IN_DOUBT, code, f"{happened}{why}; {rules.unsure}", cause="in_doubt")


def _apply(cause: StrEnum, answer: GraphAnswer, spoken: _Spoken, rules: OperationRules) -> Verdict:
    rule = rules.rule(cause)
    found = _GUID.search(spoken.message) if rule.names_user else None
    return Verdict(
        rule.kind,
        spoken.code or cause.value,
        rules.explain(cause, domain=spoken.domain, status=answer.status, raw=spoken.raw),
        user_id=found.group(0) if found else "",
        hold=rule.hold,
        whole_domain=rule.whole_domain,
        whole_target=rule.whole_target,
        cause=cause.value,
    )


def _decide_read(answer: GraphAnswer, spoken: _Spoken, rules: OperationRules) -> Verdict:
    """Decide about a call that changes nothing: a lost answer may simply be asked for again."""
    status = answer.status
    if answer.fate is not Fate.ANSWERED:
        return Verdict(
            Kind.RETRY, answer.fate.value, "Graph could not be reached; usher tries again.", cause=answer.fate.value
        )
    if 200 <= status < 300:
        if isinstance(answer.body, dict):
            return Verdict(Kind.OK)
        return Verdict(Kind.RETRY, "no_answer", "Graph answered without content; usher asks again.", cause="no_answer")
    if status == 429:
        return _throttled(answer, spoken)
    if status >= 500 or status == 408:
        return Verdict(
            Kind.RETRY,
            spoken.code or f"status_{status}",
            f"Graph answered with status {status}; usher asks again.",
            retry_after_s=parse_retry_after(answer.headers),
            cause="unavailable",
        )
    if status == 401 and rules.find_cause(status, spoken.code, spoken.message) is not Cause.NO_PERMISSION:
        return _apply(Cause.TOKEN_REFUSED, answer, spoken, rules)
    if status in (401, 403):
        return Verdict(
            Kind.FAILED,
            spoken.code or "may_not_read",
            f"The application may not read this; where it should, grant the application permission {rules.permission} "
            "and give admin consent.",
            cause="may_not_read",
        )
    return Verdict(
        Kind.FAILED,
        spoken.code or f"status_{status}",
        f"Graph did not answer the question (status {status}). It said: {spoken.raw or 'nothing more.'}",
        cause="not_readable",
    )
