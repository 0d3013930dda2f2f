"""The applications registered in a tenant tell when their secrets and certificates end. Reading is
pure; no secret is ever shown by Graph, and its hint is not read.

https://learn.microsoft.com/graph/api/application-list
https://learn.microsoft.com/graph/api/resources/passwordcredential
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from worker.graph.causes import OperationRules
from worker.graph.users import read_instant

READ_APPLICATIONS = OperationRules(verb="read this", permission="Application.Read.All")
LIST_APPLICATIONS = "/applications?$select=appId,displayName,passwordCredentials,keyCredentials&$top=999"


class CredentialKind(StrEnum):
    """The enum names what an application signs in with."""

    SECRET = "secret"  # noqa: S105  (a word, no secret)
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret or certificate of an application. `name`: what whoever made it has called it."""

    application: str
    app_id: str
    kind: CredentialKind
    name: str
    key_id: str
    ends_at: datetime

    def days_left(self, now: datetime) -> int:
        """Return whole days until it ends; below 0: it has ended."""
        return (self.ends_at - now).days


def read_credentials(application: object) -> list[Credential]:
    """Return an application's credentials as Graph shows them, but for those without an end."""
    if not isinstance(application, dict):
        return []
    name, app_id = _text(application.get("displayName")), _text(application.get("appId"))
    kinds = ((CredentialKind.SECRET, "passwordCredentials"), (CredentialKind.CERTIFICATE, "keyCredentials"))
    return [
        Credential(name, app_id, kind, _text(one.get("displayName")), _text(one.get("keyId")), ends_at)
        for kind, column in kinds
        for one in _objects(application.get(column))
        if (ends_at := read_instant(one.get("endDateTime"))) is not None
    ]


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
