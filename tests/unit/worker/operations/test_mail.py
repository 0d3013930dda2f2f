"""The mail of one's own: whom it goes to, what a server's answers mean."""

from __future__ import annotations

from typing import Any

import pytest

from tests.configs import build_connection
from worker.graph.batch import NOTE_STALE, Fate, GraphAnswer
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.model import Options, RowState
from worker.operations.invite import build_invitation, is_mailed
from worker.operations.mail import SendMail
from worker.operations.mail_rules import MOST_TRIES, judge_mail
from worker.operations.operation import MAILED, Ask, Asked, Channel

LINK = "https://login.example/redeem?rd=secret"
MAIL = SendMail()
BY_MAILBOX = build_connection(deliver="mailbox", mailbox="invites@contoso.example")
BY_GRAPH = build_connection()
BY_NOBODY = build_connection(deliver="none")


def server(step: str, code: int, said: str = "no", *, tried: int = 0) -> Verdict:
    """Return what a mail server's answer means."""
    answer = GraphAnswer(Fate.ANSWERED, code, body={"step": step, "said": said})
    return judge_mail(answer, email="ada@partner.example", tried=tried)


def graph(status: int, code: str = "", message: str = "", **headers: str) -> Verdict:
    """Return what Graph's answer to `sendMail` means."""
    body = {"error": {"code": code, "message": message}} if code else None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judge_mail(GraphAnswer(Fate.ANSWERED, status, named, body), email="ada@partner.example", tried=0)


def item(**fields: Any) -> dict[str, Any]:
    """Return a row of the stage."""
    return {"email": "ada@partner.example", "row": 7, "at": [0, 6], "since": 5, "new": True, "target": "", **fields}


def test_a_mail_that_the_server_takes() -> None:
    """Only its word after DATA is one."""
    assert server("data", 250, "queued").kind is Kind.DONE


@pytest.mark.parametrize("step", ["rcpt", "data"])
def test_a_refused_recipient_ends_the_row(step: str) -> None:
    """With the server's words, but no address and no link of them."""
    verdict = server(step, 550, "5.1.1 <ada@partner.example>: unknown, see https://mail.example/help?who=ada")
    assert (verdict.kind, verdict.code) == (Kind.FAILED, "smtp_550")
    assert "It said: 550 5.1.1" in verdict.message
    assert "ada" not in verdict.message
    assert "unknown" in verdict.message


def test_words_of_a_server_are_short() -> None:
    """A page of them is nobody's help."""
    assert len(server("rcpt", 550, "x" * 9999).message) < 700


@pytest.mark.parametrize("step", ["rcpt", "data"])
def test_a_guest_put_off_waits_alone(step: str) -> None:
    """Longer each time, while others are mailed; at last it fails with the server's words."""
    waits = [server(step, 451, "greylisted", tried=tried) for tried in range(MOST_TRIES - 1)]
    assert {verdict.kind for verdict in waits} == {Kind.LATER}
    times = [verdict.retry_after_s or 0 for verdict in waits]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (30.0, 600.0)
    last = server(step, 451, "greylisted", tried=MOST_TRIES - 1)
    assert last.kind is Kind.FAILED
    assert "greylisted" in last.message


@pytest.mark.parametrize("step", ["connect", "login", "mail"])
def test_a_busy_server_is_left_alone(step: str) -> None:
    """The channel backs off; no row is to blame."""
    assert server(step, 421, "too many connections").kind is Kind.RETRY


@pytest.mark.parametrize(
    ("step", "code", "names"),
    [
        ("login", 535, "smtp.password"),
        ("login", 0, "smtp.password"),
        ("tls", 0, "SSL_CERT_FILE"),
        ("mail", 553, "smtp.from"),
        ("connect", 554, "smtp.url"),
    ],
)
def test_what_a_person_must_mend_holds_the_channel(step: str, code: int, names: str) -> None:
    """With the setting to look at."""
    verdict = server(step, code, "because")
    assert (verdict.kind, verdict.hold) == (Kind.HOLD, HoldKind.TENANT)
    assert names in verdict.message
    assert "because" in verdict.message


def test_what_never_left_is_tried_again() -> None:
    """A server that is away stops the channel for a while; a mail held back, only itself."""
    away = GraphAnswer(Fate.NOT_SENT, body={"step": "connect", "said": ""}, note="connection refused")
    verdict = judge_mail(away, email="a@b.example", tried=0)
    assert (verdict.kind, "connection refused" in verdict.message) == (Kind.RETRY, True)
    stale = GraphAnswer(Fate.NOT_SENT, body={"step": "stale", "said": ""}, note=NOTE_STALE)
    assert judge_mail(stale, email="a@b.example", tried=0).kind is Kind.LATER


def test_a_template_holds_all_and_an_address_one() -> None:
    """A sentence is told as it is."""
    for step, kind in (("template", Kind.HOLD), ("address", Kind.FAILED)):
        answer = GraphAnswer(Fate.NOT_SENT, body={"step": step, "said": "The template is wrong."})
        verdict = judge_mail(answer, email="a@b.example", tried=0)
        assert (verdict.kind, verdict.message) == (kind, "The template is wrong.")


@pytest.mark.parametrize(
    "answer",
    [
        GraphAnswer(Fate.LOST, note="the connection was lost"),
        GraphAnswer(Fate.ANSWERED, 500),
        GraphAnswer(Fate.ANSWERED, 504),
        GraphAnswer(Fate.ANSWERED, 503),
        GraphAnswer(Fate.ANSWERED, 503, {"retry-after": "3"}),
    ],
)
def test_what_may_have_left_is_in_doubt(answer: GraphAnswer) -> None:
    """It is never sent again unasked: nobody can look, and a draft may exist."""
    verdict = judge_mail(answer, email="a@b.example", tried=0)
    assert (verdict.kind, verdict.maybe_processed) == (Kind.IN_DOUBT, False)
    assert "does not mail again" in verdict.message


def test_answers_of_a_mailbox() -> None:
    """202 is done; 429 slows down; a mailbox that is not there, or not ours, holds; a bad recipient
    ends the row.
    """
    assert graph(202).kind is Kind.DONE
    throttled = graph(429, "ApplicationThrottled", "slow down", retry_after="7")
    assert (throttled.kind, throttled.retry_after_s) == (Kind.THROTTLED, 7)
    denied = graph(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    assert (denied.kind, denied.hold) == (Kind.HOLD, HoldKind.PERMISSION)
    assert "Exchange administrator" in denied.message
    policy = graph(403, "ErrorAccessDenied", "[RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.")
    assert "up to an hour" in policy.message
    missing = graph(404, "ErrorInvalidUser", "The requested user 'invites@contoso.example' is invalid.")
    assert (missing.kind, missing.hold) == (Kind.HOLD, HoldKind.TENANT)
    assert graph(400, "ErrorInvalidRecipients", "At least one recipient is not valid.").kind is Kind.FAILED
    assert graph(401, "InvalidAuthenticationToken", "expired").kind is Kind.TOKEN


class _NoAsk:
    """Nobody is asked."""

    job = "j"
    reminders: Any = None
    disabled: Any = None
    moving: Any = None
    now: Any = None
    sign_in_quota: Any = None

    async def find_spared(self) -> Any:
        """Nobody is spared."""
        raise AssertionError

    async def find_invited(self, emails: Any) -> Any:
        """Nobody is remembered."""
        return {}

    async def get(self, requests: Any, buckets: Any = None) -> Any:
        """Fail."""
        raise AssertionError


@pytest.mark.parametrize(
    ("said", "link", "resend", "letter", "code"),
    [
        ({"new": True}, LINK, False, None, ""),
        ({"new": True}, LINK, True, None, ""),
        ({"new": False}, "", False, RowState.SKIPPED, "guest_before"),
        ({"new": False}, "", True, None, ""),
        ({"new": True}, "", False, RowState.FAILED, "no_link"),
        ({"new": True, "unsure": True}, "", False, RowState.LEFT_IN_DOUBT, "restored"),
    ],
)
async def test_who_is_mailed(said: dict[str, Any], link: str, resend: bool, letter: RowState | None, code: str) -> None:
    """Whoever this job invited; a guest of before only with --resend; nobody without the link, who
    may have been mailed where the ledger is not what it was.
    """
    asked = Asked(3, item(**said), redeem_url=link)
    ask: Ask = _NoAsk()
    ended = await MAIL.compare(ask, [asked], BY_MAILBOX, Options(resend=resend))
    assert [(one.letter, one.code) for one in ended.values() if not hasattr(one, "why")] == (
        [] if letter is None else [(letter, code)]
    )


def test_what_a_mail_is_made_of() -> None:
    """Link, language and reason; where the row says nothing, the job does. A guest who has accepted
    is led to the app.
    """
    options = Options(language="fr", message="Our bridge.", redirect_url="https://app.example")
    rows = [
        Asked(
            0, item(display_name="Ada", language="de", message="Yours.", company="X", cc="c@d.example"), redeem_url=LINK
        ),
        Asked(1, item(first_name="Bo", last_name="Ek", row=8), redeem_url=LINK),
        Asked(2, item(new=False)),
    ]
    first, second, third = (call.mail for call in MAIL.build(rows, BY_MAILBOX, options))
    assert first
    assert second
    assert third
    assert (first.name, first.language, first.message, first.cc, first.link) == (
        *("Ada", "de", "Yours.", "c@d.example", LINK),
    )
    assert first.more["company"] == "X"
    assert (second.name, second.language, second.message) == ("Bo Ek", "fr", "Our bridge.")
    assert third.link == "https://app.example"
    again = MAIL.build(rows, BY_MAILBOX, options)[0].mail
    assert again
    assert first.key == again.key != second.key


def test_a_call_shows_nothing() -> None:
    """Neither link nor address, in a log or a traceback."""
    asked = Asked(0, item(), redeem_url=LINK)
    call = MAIL.build([asked], BY_MAILBOX, Options())[0]
    assert "secret" not in repr(call) + repr(asked)
    assert "ada" not in repr(call)


def test_the_rate_is_the_mailboxes_or_the_servers() -> None:
    """Two names of one connection share it; what a server's URL says of a user is in no key."""
    from config.settings import Settings

    bucket = MAIL.buckets(Settings(), BY_MAILBOX)[0]
    assert bucket.scope.startswith("mailbox:")
    assert (bucket.amount, bucket.window_ms) == (1.0, 2000)
    assert MAIL.buckets(Settings(), BY_GRAPH)[0].scope.startswith("smtp:")


def test_microsoft_does_not_mail_besides() -> None:
    """Graph mails only where it is told to; the plan counts a mail whoever sends it."""
    row = {"email": "a@b.example"}
    for connection, by_graph, mailed in ((BY_GRAPH, True, True), (BY_MAILBOX, False, True), (BY_NOBODY, False, False)):
        assert build_invitation(row, connection, Options())["sendInvitationMessage"] is by_graph
        assert is_mailed(row, connection, Options()) is mailed
        assert not is_mailed({**row, "send_message": False}, connection, Options())
    assert MAIL.mail(row, BY_MAILBOX, Options()) == MAILED


def test_who_mails_is_settled_with_the_job() -> None:
    """What the settings say later changes nothing: neither two mail a guest, nor nobody does."""
    row = {"email": "a@b.example"}
    by_us, by_graph = Options(deliver="mailbox"), Options(deliver="graph")
    assert not build_invitation(row, BY_GRAPH, by_us)["sendInvitationMessage"]
    assert build_invitation(row, BY_MAILBOX, by_graph)["sendInvitationMessage"]
    assert is_mailed(row, BY_GRAPH, by_us, silent=True)
    assert not is_mailed(row, BY_MAILBOX, by_graph, silent=True)
    assert not is_mailed(row, BY_GRAPH, Options(deliver="none"))
    channel = Channel(BY_GRAPH, MAIL)
    assert channel.settled(by_us).connection.deliver == "mailbox"
    assert channel.settled(Options()) is channel


def test_who_asks_for_a_mail() -> None:
    """Each row of such a connection, unless row or job says that nobody is to be mailed."""
    assert (MAIL.follows(BY_MAILBOX), MAIL.follows(BY_GRAPH), MAIL.follows(BY_NOBODY)) == (True, False, False)
    assert MAIL.targets({"email": "a@b.example"}, Options()) == ("",)
    assert MAIL.targets({"email": "a@b.example"}, Options(send_message=False)) == ()
    assert MAIL.targets({"email": "a@b.example", "send_message": True}, Options(send_message=False)) == ("",)
    assert (MAIL.signs_in(BY_MAILBOX), MAIL.signs_in(build_connection())) == (True, False)
