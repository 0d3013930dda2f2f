"""How one object of a directory is named in a request about another: by a URL of the same cloud."""

from __future__ import annotations

import re
from typing import Any

from sandbox.errors import bad_request

_REFERENCE = re.compile(
    r"(?P<base>https://[^/]+)/v1\.0/(?P<kind>directoryObjects|users|groups)"
    r"(?:/(?P<id>[^/'()]+)|\('(?P<quoted>[^/'()]+)'\))"
)
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class References:
    """Reads references; `bases` are the URLs at which this sandbox is served."""

    def __init__(self) -> None:
        self.bases: frozenset[str] = frozenset()

    def read(self, url: object, *kinds: str) -> str:
        """Return the id in a URL that refers to one of these kinds (`users`, `groups`,
        `directoryObjects`), folded. Raises `GraphError`.
        """
        match = _REFERENCE.fullmatch(url) if isinstance(url, str) else None
        if match is None or match["kind"] not in kinds or match["base"] not in self.bases:
            raise bad_request("Invalid URL format specified in payload.", "Request_BadRequest")
        name = match["id"] or match["quoted"]
        if not _GUID.fullmatch(name):
            raise bad_request(f"Invalid object identifier '{name}'.", "Request_BadRequest")
        return name.lower()

    def read_one(self, body: Any, *kinds: str) -> str:
        """Return the id in `{"@odata.id": URL}`, a POST's body to `$ref`. Raises `GraphError`."""
        if type(body) is not dict or body.keys() != {"@odata.id"}:
            raise bad_request("The payload of a reference is an object with '@odata.id'.", "Request_BadRequest")
        return self.read(body["@odata.id"], *kinds)
