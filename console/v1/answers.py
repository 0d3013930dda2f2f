"""Answers are written once, here: JSON, its ETag, and what every route may answer besides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from console.problems import MEDIA_TYPE, ProblemDocument
from console.v1.order import FileOrder, ListOrder, RowsOrder

_PROBLEM: Final[dict[str, Any]] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
_STATUSES: Final = {
    400: "The request cannot be read.",
    401: "Nobody is signed in, or the token is not valid.",
    403: "This is not for whoever asks.",
    404: "There is none.",
    405: "The address takes other methods.",
    408: "The body came too slowly.",
    409: "It cannot be done as things stand.",
    413: "The body is too large.",
    415: "The body has a media type that is not taken.",
    422: "Something in the request is wrong; `errors` says what and where.",
    429: "Too many requests; `Retry-After` says when to go on.",
    502: "Microsoft did not answer as it should.",
    503: "Redis or Microsoft is away, or too much is going on; `Retry-After` says when to ask again.",
    507: "Redis has no room.",
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": words, "content": _PROBLEM} for status, words in _STATUSES.items()
}
"""What every route may answer instead."""

SCHEMAS: Final = (ProblemDocument, RowsOrder, FileOrder)
"""Types that the document names without a route's own types naming them."""
_CSV: Final = {"schema": {"type": "string"}}
ORDER_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/RowsOrder"}},
        "multipart/form-data": {"schema": {"$ref": "#/components/schemas/FileOrder"}},
        "text/csv": _CSV,
        "application/x-ndjson": _CSV,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
            "schema": {"type": "string", "format": "binary"}
        },
    },
}


def _order_parameters() -> list[dict[str, Any]]:
    """Return the options of a list as parameters of the query."""
    schema = ListOrder.model_json_schema()
    told = []
    for name, one in schema["properties"].items():
        if name == "mapping":
            one = {"type": "array", "items": {"type": "string"}, "description": one["description"]}
        about = one.get("description", "")
        plain = {key: value for key, value in one.items() if key not in ("description", "title", "default")}
        told.append(
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": f"{about} Where the list is the whole body.",
                "schema": plain,
            }
        )
    return told


ORDER_PARAMETERS: Final = _order_parameters()


def answer(told: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(orjson.dumps(told), status, headers, "application/json")


def tag_of(body: bytes) -> str:
    """Return the ETag of a body."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def answer_tagged(told: Any, has: str) -> Response:
    """Answer with JSON and its ETag; with nothing where whoever asks `has` it already."""
    body = orjson.dumps(told)
    tag = tag_of(body)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = {one.strip().removeprefix("W/") for one in has.split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, "application/json")
