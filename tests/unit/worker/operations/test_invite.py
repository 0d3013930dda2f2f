from __future__ import annotations

from typing import Any

import pytest

from config.connections import Connection
from config.reader import parse_connection
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import HoldKind, Kind
from worker.ledger.job_targets import Target, TargetKind
from worker.ledger.model import Options
from worker.operations.invite import Invite, build_invitation, wants_mail
from worker.operations.operation import Asked, Call, Look


def _connection(**more: Any) -> Connection:
    table = {"tenant_id": "1" * 8, "client_id": "2" * 8, "client_secret": "env:NONE"}
    table |= {"tenant_id": "11111111-1111-1111-1111-111111111111", "client_id": "22222222-2222-2222-2222-222222222222"}
    return parse_connection("contoso", table | more)


def test_the_smallest_row_is_a_whole_invitation() -> None:
    """Address, where to, and that Graph mails it; nothing else is sent."""
    assert build_invitation({"email": "a@b.example"}, _connection(), Options()) == {
        "invitedUserEmailAddress": "a@b.example",
        "inviteRedirectUrl": "https://myapplications.microsoft.com",
        "sendInvitationMessage": True,
    }


def test_a_full_row_is_spelled_as_graph_wants_it() -> None:
    """Name, type, one carbon copy; a message of our own excludes the language."""
    row = {
        "email": "a@b.example",
        "first_name": "Ada",
        "last_name": "Lo",
        "user_type": "Member",
        "message": "Hello",
        "language": "de-DE",
        "cc": "c@b.example",
        "redirect_url": "https://here",
        "send_message": False,
    }
    assert build_invitation(row, _connection(), Options()) == {
        "invitedUserEmailAddress": "a@b.example",
        "inviteRedirectUrl": "https://here",
        "sendInvitationMessage": False,
        "invitedUserDisplayName": "Ada Lo",
        "invitedUserType": "Member",
        "invitedUserMessageInfo": {
            "customizedMessageBody": "Hello",
            "ccRecipients": [{"emailAddress": {"address": "c@b.example"}}],
        },
    }


def test_the_row_goes_before_the_job_and_the_job_before_the_connection() -> None:
    """In that order, for each of them by itself."""
    options = Options(send_message=False, redirect_url="https://job", language="fr")
    body = build_invitation({"email": "a@b.example", "send_message": True}, _connection(), options)
    assert body["sendInvitationMessage"] is True
    assert body["inviteRedirectUrl"] == "https://job"
    assert body["invitedUserMessageInfo"] == {"messageLanguage": "fr"}


@pytest.mark.parametrize(
    ("row", "job", "connection", "mail"),
    [(None, None, True, True), (None, None, False, False), (None, False, True, False), (True, False, False, True)],
)
def test_who_decides_about_the_mail(row: bool | None, job: bool | None, connection: bool, mail: bool) -> None:
    """Whoever spoke last."""
    given = {"email": "a@b.example"} | ({} if row is None else {"send_message": row})
    assert wants_mail(given, _connection(send_message=connection), Options(send_message=job)) is mail


def test_silent_sends_no_mail_whatever_they_say() -> None:
    """A row sent again where nobody could look."""
    row = {"email": "a@b.example", "send_message": True}
    assert (
        build_invitation(row, _connection(), Options(send_message=True), silent=True)["sendInvitationMessage"] is False
    )


FORBIDDEN = GraphAnswer(
    Fate.ANSWERED, 403, {}, {"error": {"code": "Authorization_RequestDenied", "message": "No."}}, ""
)


def test_a_member_refused_for_being_one_holds_nobody() -> None:
    """The row fails; a guest's missing permission still holds the connection."""
    call = Call(GraphRequest("0", "POST", "/invitations"), (0,))
    assert Invite().judge(Asked(0, {"email": "a@b.c", "user_type": "Member"}), call, FORBIDDEN).kind is Kind.FAILED
    assert Invite().judge(Asked(0, {"email": "a@b.c"}), call, FORBIDDEN).hold is HoldKind.PERMISSION


def _sponsor(name: str, sponsor_id: str, refused: str = "") -> Target:
    return Target(sponsor_id, name, TargetKind.SPONSOR, refused)


def test_sponsors_that_the_job_knows_go_with_the_invitation() -> None:
    """By id, each once, five at most; one that stands for nobody stays behind."""
    along = (
        _sponsor("a", "1"),
        _sponsor("b", "", "There is none."),
        _sponsor("c", "1"),
        *map(_sponsor, "defgh", "23456"),
    )
    (call,) = Invite().build([Asked(0, {"email": "a@b.c"}, along=along)], _connection(), Options())
    assert call.request.body is not None
    assert call.request.body["invitedUserSponsors"] == [{"id": one} for one in "12345"]
    (call,) = Invite().build([Asked(0, {"email": "a@b.c"})], _connection(), Options())
    assert "invitedUserSponsors" not in (call.request.body or {})


def test_sponsors_that_graph_does_not_take_are_left_out_from_then_on() -> None:
    """The rows are sent again at once without them; what else may be refused stays refused."""
    invite, taken = Invite(), (_sponsor("b", "2"),)
    rows = [Asked(n, {"email": f"{n}@b.c"}, along=(_sponsor("a", "1"),)) for n in range(2)]
    no = GraphAnswer(Fate.ANSWERED, 400, {}, {"error": {"code": "BadRequest", "message": "The sponsor is not taken."}})
    bad = GraphAnswer(Fate.ANSWERED, 400, {}, {"error": {"code": "BadRequest", "message": "A new rule."}})
    calls = invite.build(rows, _connection(), Options())
    assert invite.judge(rows[0], calls[0], bad).kind is Kind.FAILED
    for asked, call in zip(rows, calls, strict=True):
        verdict = invite.judge(asked, call, no)
        assert (verdict.kind, verdict.apart) == (Kind.AGAIN, False)
    again = invite.build([*rows, Asked(2, {"email": "c@b.c"}, along=taken)], _connection(), Options())
    assert [(call.request.body or {}).get("invitedUserSponsors") for call in again] == [None, None, [{"id": "2"}]]
    assert invite.judge(rows[0], again[0], no).kind is Kind.FAILED


def test_mail_is_only_claimed_as_requested() -> None:
    """Not where the row, or a second send, goes without."""
    row, wanted = {"email": "a@b.c"}, Options()
    assert Invite().mail(row, _connection(), wanted) == "requested"
    assert Invite().mail(row, _connection(), wanted, silent=True) == "none"
    assert Invite().mail({**row, "send_message": False}, _connection(), wanted) == "none"


@pytest.mark.parametrize(
    ("precheck", "suspect", "resend", "look"),
    [
        (True, False, False, Look.WHERE_ALLOWED),
        (False, False, False, Look.NO),
        (False, True, False, Look.WHERE_ALLOWED),
        (True, True, True, Look.NO),
    ],
)
def test_who_is_looked_up(precheck: bool, suspect: bool, resend: bool, look: Look) -> None:
    """Where precheck says so or the ledger may not know; whoever is to be mailed again is not."""
    assert Invite().look(_connection(precheck=precheck), Options(resend=resend), suspect=suspect) is look
