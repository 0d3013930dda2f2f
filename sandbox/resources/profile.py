"""PATCH /users/{id}: what may be changed of a user, by whom, and what a value may look like.

Nothing is changed by a request of which one value is refused.
https://learn.microsoft.com/graph/api/user-update
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox import errors
from sandbox.directory import Tenant, User
from sandbox.errors import bad_request, unknown_property
from sandbox.odata import PROPERTIES
from sandbox.recorder import Recorder
from sandbox.resources.known import Known, need
from sandbox.resources.roles import holds_role
from sandbox.resources.routes import Asked, Handler

_LARGE = frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"})
_UPDATE_USERS = _LARGE | {"User.ReadUpdate.All"}
_UPDATE_PROPERTY = {
    "accountEnabled": _LARGE | {"User.EnableDisableAccount.All"},
    "otherMails": _LARGE | {"User-Mail.ReadWrite.All"},
}
"""Permissions for what is more sensitive than a name."""
_SENSITIVE = frozenset({"accountEnabled", "otherMails", "mobilePhone", "businessPhones"})
"""What no application changes of whoever holds a role, or is a member or owner of a role-assignable
group; names it may.
"""
_LENGTHS = {
    "displayName": 256,
    "givenName": 64,
    "surname": 64,
    "companyName": 64,
    "department": 64,
    "jobTitle": 128,
    "mobilePhone": 64,
    "preferredLanguage": 64,
    "usageLocation": 2,
}
"""Property that is a text → the most characters it may have."""
_NEVER_EMPTY = frozenset({"displayName", "usageLocation", "mail"})
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")
_MOST_MAILS = 250
_EXTENSIONS = frozenset(f"extensionAttribute{number}" for number in range(1, 16))
_EXTENSION_LENGTH = 1_024
_EXTENDED = "onPremisesExtensionAttributes"


class Profiles:
    """Changes what a directory says of its users."""

    def __init__(self, known: Known, recorder: Recorder) -> None:
        self._known = known
        self._recorder = recorder

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {"update_user": self.update}

    def update(self, asked: Asked) -> tuple[int, None]:
        """Do PATCH /users/{id}. Raises `GraphError`, a 404 while the writing side does not know the
        user.
        """
        body, tenant = asked.body, asked.caller.tenant
        if type(body) is not dict:
            raise bad_request("Unable to read JSON request payload. A JSON object is expected.")
        for roles in {_UPDATE_PROPERTY.get(key, _UPDATE_USERS) for key in body} or {_UPDATE_USERS}:
            need(asked.caller, roles)
        if not body:
            raise bad_request("Empty Payload. JSON content expected.")
        changes = [_change(key, value) for key, value in body.items()]
        user = self._known.user(tenant, asked.names[0], "updates")
        if "mail" in body:
            _check_free(tenant, user, body["mail"])
        if not _SENSITIVE.isdisjoint(body) and holds_role(tenant, user):
            raise errors.not_allowed()
        before = list(user.addresses())
        for change in changes:
            change(user)
        tenant.reindex(user, before)
        self._recorder.user_changed(tenant, user)
        return 204, None


def _change(key: str, value: Any) -> Callable[[User], None]:
    """Return what sets a property to a value. Raises `GraphError` for a value it cannot have."""
    if key in _CHANGES:
        return _CHANGES[key](value)
    if key not in _LENGTHS:
        if key in PROPERTIES:
            raise bad_request(f"Property '{key}' is read-only and cannot be set.", "Request_BadRequest")
        raise unknown_property(key, "microsoft.graph.user")
    _check_text(key, value)
    if key == "displayName":
        return lambda user: setattr(user, "display_name", value)
    return lambda user: _set_extra(user, key, value.upper() if key == "usageLocation" else value)


def _change_enabled(value: Any) -> Callable[[User], None]:
    if type(value) is not bool:
        raise _wrong_type("accountEnabled")
    return lambda user: setattr(user, "enabled", value)


def _change_other_mails(value: Any) -> Callable[[User], None]:
    mails = _texts("otherMails", value)
    if len(mails) > _MOST_MAILS or not all(_MAIL.fullmatch(mail) and len(mail) <= _MOST_MAILS for mail in mails):
        raise _bad_value("otherMails")
    return lambda user: setattr(user, "other_mails", mails)


def _change_mail(value: Any) -> Callable[[User], None]:
    if value is None or not _MAIL.fullmatch(_text("mail", value)):
        raise _bad_value("mail")
    return lambda user: _set_mail(user, value)


def _change_phones(value: Any) -> Callable[[User], None]:
    phones = _texts("businessPhones", value)
    if len(phones) > 1 or any(len(phone) > _LENGTHS["mobilePhone"] for phone in phones):
        raise _bad_value("businessPhones")
    return lambda user: _set_extra(user, "businessPhones", list(phones))


def _check_text(key: str, value: Any) -> None:
    if value is None:
        if key in _NEVER_EMPTY:
            raise _bad_value(key)
        return
    text = _text(key, value)
    if not text or len(text) > _LENGTHS[key] or (key == "usageLocation" and not _COUNTRY.fullmatch(text)):
        raise _bad_value(key)


def _change_extensions(value: Any) -> Callable[[User], None]:
    if type(value) is not dict:
        raise _wrong_type(_EXTENDED)
    for name, text in value.items():
        if name not in _EXTENSIONS:
            raise unknown_property(name, "microsoft.graph.onPremisesExtensionAttributes")
        if text is not None and not 0 < len(_text(name, text)) <= _EXTENSION_LENGTH:
            raise _bad_value(name)
    return lambda user: _set_extra(user, _EXTENDED, {**_extensions(user), **value})


def _extensions(user: User) -> dict[str, Any]:
    kept = (user.extra or {}).get(_EXTENDED)
    return kept if isinstance(kept, dict) else {}


def _set_extra(user: User, key: str, value: object) -> None:
    user.extra = {**(user.extra or {}), key: value}


def _check_free(tenant: Tenant, user: User, mail: str) -> None:
    """Raise `GraphError` where a user, a group or a contact has an address already."""
    address = mail.lower()
    others = [holder for holder in tenant.by_address.get(address, ()) if holder is not user]
    if others or address in tenant.list_addresses or address in tenant.contacts:
        raise errors.address_in_use("proxyAddresses")


def _set_mail(user: User, mail: str) -> None:
    """Set the address; the directory keeps the old one among the proxy addresses, as Exchange."""
    others = tuple(f"smtp:{proxy[5:]}" for proxy in user.proxy_addresses if proxy[5:].lower() != mail.lower())
    user.mail, user.proxy_addresses = mail, (f"SMTP:{mail}", *others)


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise _wrong_type(key)
    return tuple(_text(key, entry) for entry in value)


def _text(key: str, value: Any) -> str:
    if type(value) is not str:
        raise _wrong_type(key)
    return value


def _wrong_type(key: str) -> errors.GraphError:
    return bad_request(f"Cannot convert the value of property '{key}' to the expected type.")


def _bad_value(key: str) -> errors.GraphError:
    return bad_request(f"Invalid value specified for property '{key}' of resource 'User'.", "Request_BadRequest")


_CHANGES: dict[str, Callable[[Any], Callable[[User], None]]] = {
    "accountEnabled": _change_enabled,
    "otherMails": _change_other_mails,
    "mail": _change_mail,
    "businessPhones": _change_phones,
    _EXTENDED: _change_extensions,
}
