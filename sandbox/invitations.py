"""POST /invitations: what is asked of it, what the directory says to it, and what becomes of the
guest.

The order of the checks is the sandbox's own guess at Graph's: permission, the tenant's state, the
request's form, the address, the directory. This is the hot path of a benchmark: sets and one
regular expression, no objects per request but the guest.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from typing import Any

from sandbox import errors
from sandbox.directory import PENDING, Directory, Tenant, User, spell
from sandbox.errors import GraphError, bad_request, unknown_property
from sandbox.ids import format_guid
from sandbox.recorder import Recorder
from sandbox.resources.roles import holds_role
from sandbox.tokens import Caller

INVITE_ROLES = frozenset({"User.Invite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"})
_PRIVILEGED = frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"})
_TYPE = "microsoft.graph.invitation"
_REQUIRED = ("invitedUserEmailAddress", "inviteRedirectUrl")
_PLAIN = frozenset({*_REQUIRED, "invitedUserDisplayName", "sendInvitationMessage"})
_KNOWN = _PLAIN | {
    "@odata.type",
    "invitedUserType",
    "resetRedemption",
    "invitedUserMessageInfo",
    "invitedUser",
    "invitedUserSponsors",
    "invitedUserSponsors@odata.bind",
}
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[^\W_](?:[^\W_]|-)*(?<!-)\.)+(?=[^.]*[^\W\d_])[^\W_](?:[^\W_]|-)*[^\W_]"
)
_FORBIDDEN = frozenset('~!#$%^&*()+=[]{}\\/|;:"<>?,')
"""Documented as not permitted in an address; nobody has verified it, so it is optional."""
_REDIRECT = re.compile(r"https?://[^\s/?#@]+(?:[/?#]\S*)?", re.IGNORECASE)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_MAX_SPONSORS = 5
_NO_INFO = {
    "messageLanguage": None,
    "ccRecipients": [{"emailAddress": {"name": None, "address": None}}],
    "customizedMessageBody": None,
}


class Inviter:
    """Processes invitations for one sandbox."""

    def __init__(
        self, directory: Directory, recorder: Recorder, chance: random.Random, *, forbid_characters: bool
    ) -> None:
        self.base_url = ""
        self._directory = directory
        self._recorder = recorder
        self._chance = chance
        self._forbid_characters = forbid_characters

    def invite(self, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
        """Process one invitation; return the body of its 201. Raises `GraphError` for a refusal."""
        tenant = caller.tenant
        if caller.roles.isdisjoint(INVITE_ROLES):
            raise errors.invite_not_permitted()
        _check_tenant(tenant, caller.roles)
        email, redirect = _check_form(body)
        email = spell(email, tenant.spelling)
        rest = body.keys() - _PLAIN
        if rest:
            self._check_rest(tenant, caller.roles, body)
        address = self._check_address(tenant, email)
        again, user = self._guest(tenant, email, address, body, caller.roles)
        if rest and tenant.sponsors_taken and (sponsors := _sponsors(body)):
            user.sponsors = tuple(sponsor.lower() for sponsor in sponsors)
        return self._send(tenant, user, email, address, redirect, body, again=again)

    def _guest(
        self, tenant: Tenant, email: str, address: str, body: dict[str, Any], roles: Collection[str]
    ) -> tuple[bool, User]:
        """Return the guest of this invitation, new or pending already; True: it was there."""
        if body.get("resetRedemption"):
            reset = _reset(tenant, address, body, roles)
            if reset.state != PENDING:
                reset.state, reset.state_changed_at = PENDING, self._directory.clock.stamp()
            return True, reset
        user = tenant.find(address)
        if user is None:
            _check_domain(tenant, address)
            if tenant.max_users is not None and len(tenant.users) >= tenant.max_users:
                raise errors.directory_full()
            user_type = body.get("invitedUserType") or "Guest"
            return False, self._directory.new_guest(tenant, email, body.get("invitedUserDisplayName"), user_type)
        if not user.enabled or user.state != PENDING:
            raise errors.already_there(user.id, enabled=user.enabled)
        return True, user

    def _send(
        self, tenant: Tenant, user: User, email: str, address: str, redirect: str, body: dict[str, Any], *, again: bool
    ) -> dict[str, Any]:
        digits = f"{self._chance.getrandbits(384):096x}"
        invitation_id = format_guid(digits[:32])
        user.ticket = digits[32:]  # a new ticket: an earlier link of this guest is dead from here on
        user.redirect_url = redirect
        user.invitations += 1
        link = f"{self.base_url}/redeem?tenant={tenant.id}&user={user.id}&ticket={user.ticket}&ver=2.0"
        self._recorder.invitation(tenant, user, address, invitation_id, again=again)
        send = bool(body.get("sendInvitationMessage"))
        if send:
            self._recorder.mail(tenant, user, address, body, link)
        if tenant.abuse_after is not None:
            tenant.abuse_after -= 1
        return {
            "@odata.context": f"{self.base_url}/v1.0/$metadata#invitations/$entity",
            "id": invitation_id,
            "inviteRedeemUrl": link,
            "invitedUserDisplayName": body.get("invitedUserDisplayName"),
            "invitedUserType": user.user_type,
            "invitedUserEmailAddress": email,
            "sendInvitationMessage": send,
            "resetRedemption": bool(body.get("resetRedemption")),
            "inviteRedirectUrl": redirect,
            "status": "PendingAcceptance",
            "invitedUserMessageInfo": {**_NO_INFO, **(body.get("invitedUserMessageInfo") or {})},
            "invitedUser": {"id": user.id},
        }

    def _check_rest(self, tenant: Tenant, roles: Collection[str], body: dict[str, Any]) -> None:
        """Check the properties that most invitations do not have."""
        for name in body.keys() - _KNOWN:
            if name in ("id", "inviteRedeemUrl", "status"):
                raise bad_request(f"Property '{name}' is read-only and cannot be set.")
            raise unknown_property(name, _TYPE)
        if body.get("@odata.type", f"#{_TYPE}") != f"#{_TYPE}":
            raise bad_request("The '@odata.type' of the request is not that of an invitation.")
        _check_type(body, "resetRedemption", bool)
        user_type = body.get("invitedUserType")
        if user_type not in (None, "Guest", "Member"):
            raise bad_request("Invalid value specified for property 'invitedUserType' of resource 'Invitation'.")
        if user_type == "Member" and _PRIVILEGED.isdisjoint(roles):
            # Documented: only privileged callers may. How Graph words it is not known.
            raise GraphError(403, "Forbidden", "Insufficient privileges to invite a user of type 'Member'.")
        if (info := body.get("invitedUserMessageInfo")) is not None:
            _check_message_info(info)
        if (invited := body.get("invitedUser")) is not None and not (
            isinstance(invited, dict) and _GUID.fullmatch(str(invited.get("id")))
        ):
            raise bad_request("Property 'invitedUser' needs the id of a user.")
        _check_sponsors(tenant, body)

    def _check_address(self, tenant: Tenant, email: str) -> str:
        """Return the address folded. Raises `GraphError` for one that can never be invited."""
        if len(email) > 254 or email.find("@") > 64 or not _ADDRESS.fullmatch(email):
            raise errors.bad_address()
        if self._forbid_characters:
            local = email.partition("@")[0]
            if not _FORBIDDEN.isdisjoint(local) or local[0] in ".-" or local[-1] in ".-":
                raise errors.bad_address()
        address = email.lower()
        if address in tenant.list_addresses:
            raise errors.group_address()
        if address in tenant.contacts:
            raise errors.contact_conflict()
        return address


def _check_tenant(tenant: Tenant, roles: Collection[str]) -> None:
    if tenant.abuse_after is not None and tenant.abuse_after <= 0:
        tenant.blocked_for_abuse, tenant.abuse_after = True, None
    if tenant.blocked_for_abuse:
        raise errors.blocked_for_abuse()
    allowed = tenant.allow_invites_from
    if allowed == "none" or (allowed == "adminsAndGuestInviters" and "User.Invite.All" not in roles):
        raise errors.invitations_off()


def _check_form(body: dict[str, Any]) -> tuple[str, str]:
    """Return the address and the redirect URL. Raises `GraphError` where a plain property is
    missing or of a wrong type.
    """
    for name in _REQUIRED:
        if not body.get(name):
            raise bad_request(f"Required property '{name}' is missing from resource 'Invitation'.")
    email, redirect = body["invitedUserEmailAddress"], body["inviteRedirectUrl"]
    if type(email) is not str or type(redirect) is not str:
        raise bad_request("Cannot convert a value to the expected type 'Edm.String'.")
    _check_type(body, "invitedUserDisplayName", str)
    _check_type(body, "sendInvitationMessage", bool)
    if len(body.get("invitedUserDisplayName") or "") > 256:
        raise bad_request("Invalid value specified for property 'displayName' of resource 'User'.")
    if not _REDIRECT.fullmatch(redirect):
        raise bad_request("Invalid inviteRedirectUrl: it must be an absolute URL with the scheme http or https.")
    return email, redirect


def _check_type(body: dict[str, Any], name: str, kind: type) -> None:
    value = body.get(name)
    if value is not None and type(value) is not kind:
        raise bad_request(f"Cannot convert the value of property '{name}' to the expected type.")


def _check_message_info(info: object) -> None:
    if not isinstance(info, dict):
        raise bad_request("Property 'invitedUserMessageInfo' is not an object.")
    for name in info.keys() - {"@odata.type", "messageLanguage", "customizedMessageBody", "ccRecipients"}:
        raise unknown_property(name, "microsoft.graph.invitedUserMessageInfo")
    _check_type(info, "customizedMessageBody", str)
    _check_type(info, "messageLanguage", str)
    if info.get("messageLanguage") and not _LANGUAGE.fullmatch(info["messageLanguage"]):
        raise bad_request(
            "Invalid value specified for property 'messageLanguage': it must be a culture name such as en-US."
        )
    recipients = info.get("ccRecipients")
    if recipients is None:
        return
    if not isinstance(recipients, list) or len(recipients) > 1:
        raise bad_request("Only one recipient is supported in 'ccRecipients'.")
    for recipient in recipients:
        address = recipient.get("emailAddress") if isinstance(recipient, dict) else None
        if not isinstance(address, dict) or set(recipient) - {"@odata.type", "emailAddress"}:
            raise bad_request("A recipient is an object with 'emailAddress'.")
        for name in address.keys() - {"@odata.type", "name", "address"}:
            raise unknown_property(name, "microsoft.graph.emailAddress")
        if not _ADDRESS.fullmatch(str(address.get("address"))):
            raise bad_request("The address in 'ccRecipients' is not valid.")


def _check_sponsors(tenant: Tenant, body: dict[str, Any]) -> None:
    sponsors = _sponsors(body)
    if len(sponsors) > _MAX_SPONSORS:
        raise bad_request(f"At most {_MAX_SPONSORS} sponsors can be set.")
    for sponsor in sponsors:
        if sponsor.lower() not in tenant.users and sponsor.lower() not in tenant.groups:
            raise bad_request(f"The sponsor '{sponsor}' does not exist in the directory.", "Request_BadRequest")


def _sponsors(body: dict[str, Any]) -> list[str]:
    """Return the ids of the sponsors that an invitation names, each once."""
    ids: list[str] = []
    for entry in _list(body, "invitedUserSponsors"):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise bad_request("A sponsor is an object with the 'id' of a user or group.")
        ids.append(entry["id"])
    ids += [str(entry).rstrip("/").rpartition("/")[2] for entry in _list(body, "invitedUserSponsors@odata.bind")]
    return list(dict.fromkeys(ids))


def _list(body: dict[str, Any], name: str) -> list[Any]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad_request(f"Property '{name}' is not a collection.")
    return value


def _check_domain(tenant: Tenant, address: str) -> None:
    domain = address.partition("@")[2]
    if domain in tenant.domains:
        raise errors.own_domain()
    if tenant.allowed_domains is not None and domain not in tenant.allowed_domains:
        raise bad_request(errors.REFUSED_DOMAIN["denied"])
    if (kind := tenant.refused_domains.get(domain)) is not None:
        raise bad_request(errors.REFUSED_DOMAIN[kind])


def _reset(tenant: Tenant, address: str, body: dict[str, Any], roles: Collection[str]) -> User:
    """Return the user whose redemption is to be reset: the same object. Raises `GraphError`,
    in the words that were seen.
    """
    if _PRIVILEGED.isdisjoint(roles):
        raise errors.not_allowed()
    invited = body.get("invitedUser")
    user = tenant.users.get(str(invited["id"]).lower()) if invited else None
    if user is None:
        raise bad_request("resetRedemption needs 'invitedUser' with the id of an existing user.")
    if holds_role(tenant, user):
        raise errors.reset_refused()
    if address not in user.addresses():
        raise bad_request("The invited user email address doesn't match any emails on the user object.")
    return user
