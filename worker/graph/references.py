"""A reference ties a user to a group or a sponsor; here, and nowhere else, are the paths of
references built. Pure.

A DELETE that ends in the other object's id, and not in `/$ref`, deletes that object itself: a
sponsor's own account, a whole group. So nothing leaves that looks like it.
https://learn.microsoft.com/graph/api/user-delete-sponsors
https://learn.microsoft.com/graph/api/group-delete-members
"""

from __future__ import annotations

from typing import Literal

_RELATIONS = frozenset({"members", "owners", "sponsors", "manager"})
_REF = "/$ref"


def reference_path(
    collection: Literal["users", "groups"], owner_id: str, relation: Literal["members", "sponsors"], other_id: str = ""
) -> str:
    """Return the path that adds a reference to an object's relation, or, with `other_id`, the one
    that takes that reference away.
    """
    other = f"/{other_id}" if other_id else ""
    return f"/{collection}/{owner_id}/{relation}{other}{_REF}"


def build_reference(graph_url: str, collection: str, object_id: str) -> dict[str, str]:
    """Return the body that names an object of the same cloud's Graph."""
    return {"@odata.id": f"{graph_url}/{collection}/{object_id}"}


def refuse_bare_delete(method: str, path: str) -> None:
    """Raise `ValueError` for a request that would delete what a reference leads to. Only a fault of
    our own makes one.
    """
    if method.upper() != "DELETE":
        return
    parts = path.partition("?")[0]
    if not parts.endswith(_REF) and not _RELATIONS.isdisjoint(parts.split("/")):
        raise ValueError("a DELETE through a relation must end in /$ref: else it deletes the other object itself")
