"""POST /users/{sender}/sendMail: who may send from which mailbox, what a message looks like, and
the letter it becomes.

202 means that it was accepted, never that it arrived. https://learn.microsoft.com/graph/api/user-sendmail
"""

from __future__ import annotations

import re
from typing import Any

from sandbox.directory import Tenant
from sandbox.errors import GraphError, bad_request, unknown_property
from sandbox.letters import Letter
from sandbox.recorder import Recorder
from sandbox.resources.routes import Asked, Handler
from sandbox.tokens import Caller

_ADDRESS = re.compile(r"[^@\s<>]{1,64}@[^@\s<>]+\.[^@\s<>]+")
_KNOWN = frozenset(
    {
        *("@odata.type", "subject", "body", "toRecipients", "ccRecipients", "bccRecipients", "replyTo"),
        *("internetMessageHeaders", "importance"),
    }
)
_MOST_HEADERS = 5
_MOST_RECIPIENTS = 500


class Mailboxes:
    """The mailboxes of one sandbox's tenants."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {"send_mail": self.send}

    def send(self, asked: Asked) -> tuple[int, None]:
        """Take a message and record a letter for each of its recipients."""
        tenant, body = asked.caller.tenant, asked.body
        sender = _check_sender(asked.caller, tenant, asked.names[0])
        if type(body) is not dict or not isinstance(body.get("message"), dict):
            raise bad_request("The request has a 'message'.", "ErrorInvalidRequest")
        for name in body.keys() - {"message", "saveToSentItems"}:
            raise unknown_property(name, "microsoft.graph.sendMail")
        if type(body.get("saveToSentItems", True)) is not bool:
            raise bad_request("'saveToSentItems' is true or false.", "ErrorInvalidRequest")
        message = body["message"]
        for name in message.keys() - _KNOWN:
            raise unknown_property(name, "microsoft.graph.message")
        to, cc, bcc, reply_to = (
            _addresses(message, name) for name in ("toRecipients", "ccRecipients", "bccRecipients", "replyTo")
        )
        recipients = dict.fromkeys(address.lower() for address in (*to, *cc, *bcc))
        if not recipients or len(recipients) > _MOST_RECIPIENTS:
            raise bad_request(
                "At least one recipient is not valid: there is none, or there are too many.", "ErrorInvalidRecipients"
            )
        letter = _letter(message, sender, cc, reply_to)
        for address in recipients:
            self._recorder.letter(tenant, address, letter)
        return 202, None


def _check_sender(caller: Caller, tenant: Tenant, name: str) -> str:
    """Return the sender's address. Raises `GraphError` where there is no such mailbox, or it is not
    this application's to send from.
    """
    scope = tenant.mail_scope
    if "Mail.Send" not in caller.roles and scope is None:
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    user = tenant.users.get(name.lower())
    address = (user.mail or "" if user else name).lower()
    if address not in tenant.mailboxes:
        raise GraphError(404, "ErrorInvalidUser", f"The requested user '{name}' is invalid.")
    if scope is not None and address not in scope:
        raise GraphError(
            403,
            "ErrorAccessDenied",
            "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
        )
    return address


def _letter(message: dict[str, Any], sender: str, cc: tuple[str, ...], reply_to: tuple[str, ...]) -> Letter:
    body = message.get("body") or {}
    kind = str(body.get("contentType", "text")).lower() if isinstance(body, dict) else ""
    content = body.get("content", "") if isinstance(body, dict) else None
    if kind not in ("text", "html") or not isinstance(content, str) or body.keys() - {"contentType", "content"}:
        raise bad_request("'body' is an object with 'contentType', Text or HTML, and 'content'.", "ErrorInvalidRequest")
    subject = message.get("subject", "")
    if not isinstance(subject, str) or len(subject) > 255:
        raise bad_request("'subject' is a text of at most 255 characters.", "ErrorInvalidRequest")
    return Letter(
        via="sendMail",
        sender=sender,
        subject=subject,
        text=content if kind == "text" else "",
        html=content if kind == "html" else "",
        cc=cc,
        reply_to=reply_to[0] if reply_to else "",
        headers=_headers(message.get("internetMessageHeaders", [])),
    )


def _headers(given: Any) -> tuple[tuple[str, str], ...]:
    """Return custom headers; Graph takes a few, and only those that begin with x-."""
    if not isinstance(given, list) or len(given) > _MOST_HEADERS:
        raise _bad_header(f"There are at most {_MOST_HEADERS} internet message headers.")
    headers = []
    for entry in given:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("name", "value")):
            raise _bad_header("A header has a 'name' and a 'value'.")
        if not entry["name"].lower().startswith("x-"):
            raise _bad_header(f"The internet message header name '{entry['name']}' should start with 'x-' or 'X-'.")
        headers.append((entry["name"], entry["value"]))
    return tuple(headers)


def _bad_header(sentence: str) -> GraphError:
    return bad_request(sentence, "InvalidInternetMessageHeader")


def _addresses(message: dict[str, Any], name: str) -> tuple[str, ...]:
    given = message.get(name, [])
    if not isinstance(given, list):
        raise bad_request(f"Property '{name}' is a collection of recipients.", "ErrorInvalidRequest")
    found = []
    for entry in given:
        address = entry.get("emailAddress") if isinstance(entry, dict) else None
        if not isinstance(address, dict) or not _ADDRESS.fullmatch(str(address.get("address"))):
            raise bad_request(
                f"At least one recipient of '{name}' is not valid, Recipient with an invalid SMTP address.",
                "ErrorInvalidRecipients",
            )
        found.append(address["address"])
    return tuple(found)
