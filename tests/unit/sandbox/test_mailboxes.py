"""sendMail in the sandbox: whose mailbox, what a message may hold, how much at once."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sandbox.options import QuotaOptions

ROLES = frozenset({"Mail.Send"})
PATH = "/users/invites@contoso.example/sendMail"


def _message(*to: str, **fields: Any) -> dict[str, Any]:
    recipients = [{"emailAddress": {"address": address}} for address in to or ("guest@partner.example",)]
    return {
        "message": {
            "subject": "Welcome",
            "body": {"contentType": "HTML", "content": "<p>Hello</p>"},
            "toRecipients": recipients,
            **fields,
        },
        "saveToSentItems": False,
    }


def _error(reply: Any) -> tuple[int, str]:
    return reply.status, orjson.loads(reply.body)["error"]["code"]


def test_a_message_is_accepted_and_can_be_read(desk: Any) -> None:
    """202 and nothing else; the letter is in the record, once for each recipient."""
    desk.roles = ROLES
    headers = [{"name": "x-usher-job", "value": "1"}]
    body = _message(
        "Ann@partner.example",
        ccRecipients=[{"emailAddress": {"address": "boss@partner.example"}}],
        replyTo=[{"emailAddress": {"address": "ada@contoso.example"}}],
        internetMessageHeaders=headers,
    )
    reply = desk.ask("POST", PATH, body)
    assert (reply.status, reply.body) == (202, b"")
    first, second = desk.world.recorder.mails
    assert (first["to"], second["to"]) == ("ann@partner.example", "boss@partner.example")
    assert first["via"] == "sendMail"
    assert (first["from"], first["reply_to"]) == ("invites@contoso.example", "ada@contoso.example")
    assert (first["subject"], first["html"], first["text"]) == ("Welcome", "<p>Hello</p>", "")
    assert first["headers"] == [["x-usher-job", "1"]]
    assert desk.world.recorder.mailed[desk.tenant.id]["ann@partner.example"] == 1


def test_a_member_is_a_sender_by_id(desk: Any) -> None:
    """A mailbox is named by its user's id or by its address."""
    desk.roles = ROLES
    ada = desk.tenant.find("ada@contoso.example").id
    assert desk.ask("POST", f"/users/{ada}/sendMail", _message()).status == 202


def test_who_has_no_mailbox_cannot_send(desk: Any) -> None:
    """A guest, a list or nobody: 404."""
    desk.roles = ROLES
    for name in ("linus@partner.example", "everyone@contoso.example", "nobody@contoso.example"):
        assert _error(desk.ask("POST", f"/users/{name}/sendMail", _message())) == (404, "ErrorInvalidUser")


def test_permission_and_scope(desk: Any) -> None:
    """Without the permission 403; a scope narrows it, or stands for it, and says so with RAOP."""
    desk.roles = frozenset({"User.Read.All"})
    assert _error(desk.ask("POST", PATH, _message())) == (403, "ErrorAccessDenied")
    desk.tenant.mail_scope = frozenset({"invites@contoso.example"})
    assert desk.ask("POST", PATH, _message()).status == 202
    desk.roles = ROLES
    reply = desk.ask("POST", "/users/ada@contoso.example/sendMail", _message())
    assert _error(reply) == (403, "ErrorAccessDenied")
    assert b"[RAOP] : Blocked by tenant configured AppOnly" in reply.body


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"message": {}},
        _message("no-address"),
        _message(body={"contentType": "RTF", "content": ""}),
        _message(body={"contentType": "HTML"}, subject=5),
        _message(subject="x" * 256),
        _message(internetMessageHeaders=[{"name": "List-Unsubscribe", "value": "x"}]),
        _message(internetMessageHeaders=[{"name": "x-a", "value": "x"}] * 6),
        _message(attachments=[]),
        {**_message(), "saveToSentItems": "no"},
        {**_message(), "other": 1},
    ],
)
def test_other_messages_are_refused(desk: Any, bad: dict[str, Any]) -> None:
    """What Graph does not take, or usher does not send, is 400 and mails nobody."""
    desk.roles = ROLES
    assert desk.ask("POST", PATH, bad).status == 400
    assert desk.world.recorder.mails_total == 0


def test_a_mailbox_has_limits_of_its_own(make_desk: Any) -> None:
    """Thirty a minute where asked for, four at once; the directory's quota is not touched."""
    desk = make_desk(quota=QuotaOptions(limits={"mails_per_mailbox": (2, 60)}, time_scale=1e-9))
    desk.roles = ROLES
    assert [desk.ask("POST", PATH, _message()).status for _ in range(2)] == [202, 202]
    reply = desk.ask("POST", PATH, _message())
    assert _error(reply) == (429, "ApplicationThrottled")
    assert "Retry-After" in reply.headers
    assert "x-ms-throttle-scope" not in reply.headers
    assert desk.ask("POST", "/users/ada@contoso.example/sendMail", _message()).status == 202
    levels = {bucket["limit"]: bucket["level"] for bucket in desk.world.quotas.show()}
    assert levels["writes_per_tenant"] == 18_000
    place = desk.world.graph.place(desk.caller(), "POST", PATH)
    assert [desk.world.graph.enter(place) for _ in range(5)] == [True] * 4 + [False]
    desk.world.graph.leave(place)
    assert desk.world.graph.enter(place)
