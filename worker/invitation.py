"""A row as the body of `POST /invitations`. Pure.

https://learn.microsoft.com/graph/api/invitation-post  https://learn.microsoft.com/graph/api/resources/invitedusermessageinfo
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from worker.model import Options

if TYPE_CHECKING:
    from config import Connection


def build_invitation(
    row: Mapping[str, Any], connection: Connection, options: Options, *, silent: bool = False
) -> dict[str, Any]:
    """Return the request body for one row: what the row says, else what the job says, else the connection.

    `silent`: without Graph's mail, whatever they say (a row sent again where nobody could look).
    """
    body: dict[str, Any] = {
        "invitedUserEmailAddress": row["email"],
        "inviteRedirectUrl": row.get("redirect_url") or options.redirect_url or connection.redirect_url,
        "sendInvitationMessage": False if silent else wants_mail(row, connection, options),
    }
    name = row.get("display_name") or " ".join(filter(None, (row.get("first_name"), row.get("last_name"))))
    if name:
        body["invitedUserDisplayName"] = name
    if row.get("user_type"):
        body["invitedUserType"] = row["user_type"]
    info: dict[str, Any] = {}
    message, language = row.get("message") or options.message, row.get("language") or options.language
    if message:
        info["customizedMessageBody"] = message  # Graph ignores the language beside a message of our own
    elif language:
        info["messageLanguage"] = language
    if row.get("cc"):
        info["ccRecipients"] = [{"emailAddress": {"address": row["cc"]}}]
    if info:
        body["invitedUserMessageInfo"] = info
    return body


def wants_mail(row: Mapping[str, Any], connection: Connection, options: Options) -> bool:
    """Return whether Graph is to send its invitation mail for a row."""
    for wanted in (row.get("send_message"), options.send_message):
        if wanted is not None:
            return bool(wanted)
    return connection.send_message
