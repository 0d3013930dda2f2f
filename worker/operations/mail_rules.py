"""A table says what a mail server's answers and those to `sendMail` mean for a row and its
connection. Pure.

A mail server says by the code's first digit whether to try again (4) or not (5), and by the step
whom the answer is about: before MAIL nobody's mail goes, at RCPT and DATA it is this guest's.
https://www.rfc-editor.org/rfc/rfc5321#section-4.2.1
https://learn.microsoft.com/graph/api/user-sendmail
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from worker.graph.batch import Fate, GraphAnswer
from worker.graph.causes import HoldKind, Kind, OperationRules, Rule, Verdict
from worker.graph.patterns import wording
from worker.graph.verdicts import clean_message, decide

MOST_TRIES = 8
_FIRST_WAIT_S = 30.0  # a greylisting server wants to be asked again after some minutes
_LONGEST_WAIT_S = 600.0

IN_DOUBT = (
    "The answer to this mail was lost, so the guest may have got it, or not; nobody can look, and usher does not mail"
    " again by itself: ask the guest or look in the mail server's log. The link is in the results."
)


class MailCause(StrEnum):
    """The causes for which a mailbox does not send, in our words."""

    NO_MAILBOX = "no_mailbox"
    NOT_THIS_MAILBOX = "not_this_mailbox"


MAIL = OperationRules(
    verb="send mail from the connection's mailbox",
    permission="Mail.Send",
    is_shown=False,  # granted in Exchange for one mailbox, no token tells of it
    read_done=lambda answer: Verdict(Kind.DONE, message="Mailed.", status=answer.status),
    unsure="the mail may have gone out, so usher does not send it again.",
    rules={
        MailCause.NO_MAILBOX: Rule(
            Kind.HOLD,
            "There is no mailbox at the address that `mailbox` of this connection names: whoever runs usher names one"
            " that sends (a shared mailbox will do), and usher goes on by itself. Graph said: {raw}",
            HoldKind.TENANT,
        ),
        MailCause.NOT_THIS_MAILBOX: Rule(
            Kind.HOLD,
            "The application may not send from this connection's mailbox: an Exchange administrator lets it (RBAC for"
            " Applications, role Application Mail.Send), or a tenant administrator grants Mail.Send. Just changed, it"
            " takes up to an hour; usher goes on by itself. Graph said: {raw}",
            HoldKind.PERMISSION,
        ),
    },
    patterns=(
        wording(MailCause.NOT_THIS_MAILBOX, r"\[raop\]", r"access is denied", r"access to odata is disabled"),
        wording(
            MailCause.NO_MAILBOX,
            r"mailbox is either inactive, soft-deleted, or is hosted on-premise",
            r"the requested user .{0,200}is invalid",
            r"resource could not be discovered",
            statuses=(404,),
        ),
    ),
    statuses={403: MailCause.NOT_THIS_MAILBOX, 404: MailCause.NO_MAILBOX},
)


def judge_mail(answer: GraphAnswer, *, email: str, tried: int) -> Verdict:
    """Return what an answer means: a mail server's, which names the step that it was given to, or
    Graph's. `tried`: how often the mail left before.

    Total, and never `maybe_processed`: what may have been sent is in doubt.
    """
    body = answer.body if isinstance(answer.body, dict) else {}
    step, said = body.get("step"), clean_message(str(body.get("said", "")))
    if step is None:
        return _judge_mailbox(answer, email)
    if step == "template":
        return Verdict(Kind.HOLD, "template", str(body["said"]), hold=HoldKind.TENANT, cause="template")
    if step == "address":
        return Verdict(Kind.FAILED, "mail_address", said, cause="mail_address")
    if step == "stale":
        return Verdict(
            Kind.LATER, "not_sent", "Not sent in time; usher tries again.", retry_after_s=1.0, cause="not_sent"
        )
    if answer.fate is Fate.NOT_SENT:
        return _away(answer.note)
    return _judge_server(answer.status, str(step), said, tried)


def _judge_mailbox(answer: GraphAnswer, email: str) -> Verdict:
    """Judge as any call to Graph, but that what may have been done is in doubt."""
    verdict = decide(MAIL, answer, email=email)
    is_doubtful = verdict.kind is Kind.IN_DOUBT or verdict.maybe_processed
    return replace(verdict, kind=Kind.IN_DOUBT, message=IN_DOUBT, maybe_processed=False) if is_doubtful else verdict


def _judge_server(code: int, step: str, said: str, tried: int) -> Verdict:
    words = f"{code} {said}".strip() if code else said or "nothing"
    if 200 <= code < 300:
        return Verdict(Kind.DONE, message="Mailed.", status=code)
    is_for_now = 400 <= code < 500
    if step in _SERVER_STEPS:
        if is_for_now:
            return _away(words)
        return _hold(_SERVER_STEPS[step], words)
    if not is_for_now:
        message = f"The mail server refuses this guest's mail. It said: {words}"
        return Verdict(Kind.FAILED, f"smtp_{code}", message, raw=said, status=code, cause="mail_refused")
    if tried + 1 >= MOST_TRIES:
        message = f"The mail server put this guest's mail off {tried + 1} times, so usher gave up. It said: {words}"
        return Verdict(Kind.FAILED, f"smtp_{code}", message, raw=said, status=code, cause="mail_put_off")
    wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**tried)
    message = f"The mail server puts this guest's mail off for now; usher tries again. It said: {words}"
    return Verdict(Kind.LATER, f"smtp_{code}", message, raw=said, status=code, retry_after_s=wait_s, cause="put_off")


def _away(why: str) -> Verdict:
    reason = f" ({why})" if why else ""
    message = f"The mail server cannot be reached or takes no mail now{reason}; nothing was sent and usher tries again."
    return Verdict(Kind.RETRY, "mail_server_away", message, cause="not_sent")


def _hold(message: str, words: str) -> Verdict:
    whole = f"{message} usher goes on by itself then. It said: {words}"
    return Verdict(Kind.HOLD, "mail_server_refuses", whole, raw=words, hold=HoldKind.TENANT, cause="mail_server")


_SERVER_STEPS: Mapping[str, str] = {
    "connect": (
        "The mail server does not serve this machine, so no mail goes out: whoever runs usher checks smtp.url, or asks"
        " the server's administrator."
    ),
    "tls": (
        "The connection to the mail server is not safe (TLS), so no mail goes out: whoever runs usher checks smtp.url,"
        " and names the authority of the server's certificate by SSL_CERT_FILE where it is one of your own."
    ),
    "login": (
        "The mail server refuses the login, so no mail goes out: whoever runs usher checks the user in smtp.url, and"
        " smtp.password."
    ),
    "mail": (
        "The mail server does not take mails from the address in smtp.from, so none goes out: whoever runs usher"
        " changes that setting, or lets the user send from it."
    ),
}
