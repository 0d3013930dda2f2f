"""The form of a request's body, and of a `$batch`: one item that breaks the rules fails the whole
batch.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from sandbox.errors import GraphError, bad_request

MAX_ITEMS = 20
JSON = "application/json"
_ITEM_KEYS = frozenset(
    {"id", "method", "url", "headers", "body", "dependsOn", "depends_on"}
)  # the last: as msgraph-core for Python sends it, empty
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


def read_body(method: str, headers: Mapping[str, str], body: bytes) -> Any:
    """Return the JSON of a request that has a body. Raises `GraphError`."""
    if method in ("GET", "DELETE", "HEAD", "OPTIONS"):
        return None
    content_type = headers.get("Content-Type")
    if content_type is None:
        raise bad_request("Write requests (excluding DELETE) must contain the Content-Type header declaration.")
    if not is_json(content_type):
        raise GraphError(415, "UnsupportedMediaType", f"The media type '{content_type}' is not supported.")
    try:
        return orjson.loads(body)
    except ValueError:
        raise bad_request(
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of "
            "valid JSON format."
        ) from None


def is_json(content_type: str) -> bool:
    """Whether a content type is JSON's."""
    return content_type.partition(";")[0].strip().lower() == JSON


def check_envelope(document: Any) -> list[dict[str, Any]]:
    """Return a batch's items. One that breaks the rules fails all of them: raises `GraphError`."""
    if type(document) is not dict or type(document.get("requests")) is not list or len(document) != 1:
        raise bad_request("Invalid batch payload format.")
    items: list[dict[str, Any]] = document["requests"]
    if not items:
        raise bad_request("Invalid batch payload format: there are no requests.")
    if len(items) > MAX_ITEMS:
        raise bad_request(
            f"Number of batch request steps exceeds the maximum value of {MAX_ITEMS}.", "MaximumValueExceeded"
        )
    ids: set[str] = set()
    for item in items:
        name = _check_item(item)
        if name in ids:
            raise bad_request(f"Request Id {item['id']} has to be unique in a batch.", "InvalidArgument")
        for other in item.get("dependsOn") or ():
            if other.lower() not in ids:
                raise bad_request(f"Request Id {item['id']} depends on a request that does not come before it.")
        ids.add(name)
    return items


def _check_item(item: Any) -> str:
    """Return an item's id, folded. Raises `GraphError`."""
    if type(item) is not dict or not item.keys() <= _ITEM_KEYS:
        raise bad_request("Invalid batch payload format: a request has properties that a batch item does not have.")
    name, method, target = item.get("id"), item.get("method"), item.get("url")
    if type(name) is not str or not name:
        raise bad_request("Request Id cannot be null or empty; it is a string.")
    if type(method) is not str or method.upper() not in _METHODS:
        raise bad_request(f"Invalid request method for request with Id : {name}.")
    if type(target) is not str or not target.startswith("/") or target.startswith("//"):
        raise bad_request(f"Request Url is invalid for request with Id : {name}; it is relative and begins with '/'.")
    headers = item.get("headers")
    if headers is not None and (type(headers) is not dict or not all(type(value) is str for value in headers.values())):
        raise bad_request(f"Headers of the request with Id : {name} are not an object of strings.")
    depends = item.get("dependsOn")
    if depends is not None and (type(depends) is not list or not all(type(other) is str for other in depends)):
        raise bad_request(f"'dependsOn' of the request with Id : {name} is not a list of Ids.")
    body = item.get("body")
    write = method.upper() in ("POST", "PATCH", "PUT")
    if body is None:
        if write:
            raise bad_request(f"Write request id : {name} does not contain Content-Type header or body.")
    else:
        if not any(key.lower() == "content-type" and is_json(value) for key, value in (headers or {}).items()):
            raise bad_request(f"Write request id : {name} does not contain Content-Type header or body.")
        if not write:
            raise bad_request(f"Request with Id : {name} has a body, which {method} requests do not take.")
    return name.lower()
