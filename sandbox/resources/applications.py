"""The applications registered in a tenant, and when their secrets and certificates end; never a
secret.

The one that usher signs in with is there too, beside those that the control API adds.
https://learn.microsoft.com/graph/api/application-list
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sandbox.clock import Clock, write_stamp
from sandbox.directory import App, Registration, Tenant
from sandbox.errors import GraphError, bad_request
from sandbox.ids import guid
from sandbox.odata import QueryError, page_link, parse_select, read_options, read_page, read_top
from sandbox.resources.known import need
from sandbox.resources.routes import Asked, Handler

READ_APPLICATIONS = frozenset(
    {"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
)
_PROPERTIES = ("id", "appId", "displayName", "passwordCredentials", "keyCredentials")
_FILTER = re.compile(r"appId eq '([^']+)'")
_LONG_S = 180 * 86_400  # how long a secret of the sandbox is said to be good that never ends


class Applications:
    """The registrations of one sandbox's tenants."""

    def __init__(self, clock: Clock) -> None:
        self.base_url = ""
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {"applications": self.list}

    def list(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /applications. Raises `GraphError`."""
        need(asked.caller, READ_APPLICATIONS)
        try:
            options = read_options(asked.query, {"$filter", "$select", "$top", "$skiptoken"})
            select = parse_select(options.get("$select"), _PROPERTIES, _PROPERTIES, "application")
            skip = read_page(options.get("$skiptoken"))
            end = skip + read_top(options)
        except QueryError as error:
            raise bad_request(str(error), error.code) from None
        wanted = _FILTER.fullmatch(options.get("$filter", "appId eq '*'"))
        if wanted is None:
            raise bad_request("Invalid filter clause.", "Request_UnsupportedQuery")
        found = [shown for shown in self._all(asked.caller.tenant) if wanted[1] in ("*", shown["appId"])]
        answer: dict[str, Any] = {"@odata.context": f"{self.base_url}/v1.0/$metadata#applications"}
        if len(found) > end:
            answer["@odata.nextLink"] = page_link(self.base_url, "applications", asked.query, end)
        return 200, {**answer, "value": [{name: shown[name] for name in select} for shown in found[skip:end]]}

    def _all(self, tenant: Tenant) -> Iterator[dict[str, Any]]:
        yield from (show_app(app, self._clock) for app in tenant.apps.values())
        yield from map(_show_registration, tenant.registrations.values())


def find_app(tenant: Tenant, app_id: str, clock: Clock) -> dict[str, Any]:
    """Return what Graph shows of one registration. Raises `GraphError`, a 404."""
    if (app := tenant.apps.get(app_id)) is not None:
        return show_app(app, clock)
    if (registration := tenant.registrations.get(app_id)) is not None:
        return _show_registration(registration)
    raise GraphError(
        404, "Request_ResourceNotFound", "Resource does not exist or one of its queried objects is not present."
    )


def show_app(app: App, clock: Clock) -> dict[str, Any]:
    """Show the application that somebody signs in with: each secret's first characters and end."""
    always = clock.stamp_before(-_LONG_S)
    return {
        "id": guid(f"application|{app.client_id}"),
        "appId": app.client_id,
        "displayName": "usher",
        "passwordCredentials": [
            _secret(f"secret {number}", write_stamp(ends_s) if ends_s else always, guid(f"secret|{secret}"), secret[:3])
            for number, (secret, ends_s) in enumerate(app.secrets.items(), 1)
        ],
        "keyCredentials": [
            _certificate(None, write_stamp(certificate.ends_at.timestamp()), guid(f"certificate|{certificate.x5t}"))
            for certificate in app.certificates
        ],
    }


def _show_registration(registration: Registration) -> dict[str, Any]:
    def key(name: str) -> str:
        return guid(f"{registration.app_id}|{name}")

    return {
        "id": guid(f"application|{registration.app_id}"),
        "appId": registration.app_id,
        "displayName": registration.name,
        "passwordCredentials": [_secret(name, ends, key(name), "abc") for name, ends in registration.secrets],
        "keyCredentials": [_certificate(name, ends, key(name)) for name, ends in registration.certificates],
    }


def _secret(name: str, ends: str, key_id: str, hint: str) -> dict[str, Any]:
    return {"displayName": name, "endDateTime": ends, "hint": hint, "keyId": key_id, "secretText": None}


def _certificate(name: str | None, ends: str, key_id: str) -> dict[str, Any]:
    return {"displayName": name, "endDateTime": ends, "keyId": key_id, "type": "AsymmetricX509Cert", "usage": "Verify"}
