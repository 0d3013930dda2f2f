"""The tenant's directory is asked for groups, teams and sponsors by id, address or display name.
Building and reading is pure.

Display names repeat in a tenant, so one that two objects bear stands for none of them.
https://learn.microsoft.com/graph/api/group-list
https://learn.microsoft.com/graph/api/resources/groups-overview
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from config.values import is_guid
from worker.graph.batch import GraphAnswer

_GROUP = (
    "id,displayName,mail,groupTypes,mailEnabled,securityEnabled,onPremisesSyncEnabled,isAssignableToRole,"
    "resourceProvisioningOptions"
)
_USER = "id,displayName,mail,userPrincipalName"


@dataclass(frozen=True, slots=True)
class DirectoryObject:
    """A group or a user, as far as whoever names one must know."""

    id: str
    title: str
    collection: str  # `groups` or `users`, where Graph has it
    dynamic: bool = False
    synced: bool = False  # kept by the on-premises directory
    mail_only: bool = False  # a distribution list or mail-enabled security group: Graph only reads those
    takes_roles: bool = False
    without_team: bool = False  # as far as Graph says


def build_path(collection: str, name: str) -> str:
    """Return what to GET to find a group or user by id, address or display name."""
    select = _GROUP if collection == "groups" else _USER
    if is_guid(name):
        return f"/{collection}/{name.lower()}?$select={select}"
    text = name.replace("'", "''")
    conditions = [f"displayName eq '{text}'"]
    if "@" in name:
        conditions = [f"mail eq '{text}'", *([f"userPrincipalName eq '{text}'"] if collection == "users" else [])]
    return f"/{collection}?$filter={quote(' or '.join(conditions), safe='')}&$select={select}&$top=5"


def read_objects(collection: str, answer: GraphAnswer) -> list[DirectoryObject]:
    """Return what a status 200 shows: of a list its members, of one object that object."""
    body = answer.body if isinstance(answer.body, dict) else {}
    values = body["value"] if isinstance(body.get("value"), list) else [body]
    return [_read(collection, value) for value in values if isinstance(value, dict) and value.get("id")]


def _read(collection: str, value: dict[str, Any]) -> DirectoryObject:
    title = value.get("displayName")
    types, options = value.get("groupTypes"), value.get("resourceProvisioningOptions")
    types = types if isinstance(types, list) else []
    return DirectoryObject(
        str(value["id"]).lower(),
        title if isinstance(title, str) else "",
        collection,
        dynamic="DynamicMembership" in types,
        synced=value.get("onPremisesSyncEnabled") is True,
        mail_only=value.get("mailEnabled") is True and "Unified" not in types,
        takes_roles=value.get("isAssignableToRole") is True,
        without_team=isinstance(options, list) and "Team" not in options,
    )
