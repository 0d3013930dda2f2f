"""Whatever goes wrong is answered as a problem document (RFC 9457): one sentence, and where the
fault lies in what was sent.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from redis.exceptions import OutOfMemoryError, RedisError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from config.errors import ConfigError, UnknownConnection, UnreadConnection
from console.faults import Fault, find_faults
from tasks.errors import ListError, Refusal
from tasks.producers import note_refusal
from worker.errors import (
    DirectoryUnread,
    LedgerBusy,
    LedgerFull,
    LedgerUnavailable,
    TokenRefused,
    TokenUnavailable,
    UsherError,
)
from worker.store.client import OUTAGE
from worker.store.client import describe as in_few_words

if TYPE_CHECKING:
    from console.access.viewer import Viewer

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_AWAY_S = 5.0
"""After which it is worth to ask again where Redis is away: a failover takes about so long."""
_FULL_S = 60.0
_UNREAD = (
    "The list of connections cannot be read now, so nobody can tell which there are, and nothing was accepted: ask"
    " again later. Whoever runs usher is told by usher doctor what is wrong with the list."
)
_MOST_FAULTS = 50
_TITLES = {422: "Unprocessable Content"}
"""As RFC 9110 has it: older Pythons have its name of before."""
"""Faults that are named in one answer; the rest are counted."""


_WHOLE = "no {} has this id. An id is given whole, in small letters"
_NO_SUCH = {
    "job": _WHOLE.format("job"),
    "submission": _WHOLE.format("submission"),
    "name": "no connection is called so",
}
"""By the part of an address that nothing can be called."""


class ProblemDocument(BaseModel):
    """What is answered where a request cannot be met (RFC 9457)."""

    type: str = Field(default="about:blank", description="What kind of problem it is; `title` says it in words.")
    title: str = Field(description="The kind of problem in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, what it means, and who does what about it.")
    errors: list[Fault] | None = Field(default=None, description="Where the faults lie.")


class Problem(Exception):
    """A request cannot be met: its status, a sentence, and where the faults lie.

    `beyond`: the sentence of the audit trail, where a producer asked for what it may not and the
    answer does not say so; `facts` go with it. Of a 403 it is the answer's own.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        beyond: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.beyond = beyond or (detail if status == HTTPStatus.FORBIDDEN else "")
        self.facts = dict(facts or {})
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after_s)))

    def response(self) -> Response:
        """Return it as a response."""
        told: dict[str, Any] = {
            "type": "about:blank",
            "title": _TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            told["errors"] = [fault.model_dump(exclude_none=True) for fault in self.errors[:_MOST_FAULTS]]
        return Response(orjson.dumps(told), self.status, self.headers, MEDIA_TYPE)


def find_problem(error: Exception) -> Problem:
    """Return what is told of any error; one that nobody knows is logged, without its text."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            return Problem(error.status_code, _sentence(error), headers=error.headers)
        case _:
            return _of_usher(error) or _of_redis(error) or _unexpected(error)


def _of_usher(error: Exception) -> Problem | None:
    match error:
        case LedgerFull():
            return Problem(507, str(error), retry_after_s=_FULL_S)
        case LedgerUnavailable():
            return Problem(503, str(error), retry_after_s=_AWAY_S)
        case LedgerBusy():
            return Problem(409, str(error))
        case TokenUnavailable():
            return Problem(503, str(error), retry_after_s=error.retry_after_s or _AWAY_S)
        case TokenRefused():
            return Problem(409, str(error))
        case DirectoryUnread():
            return Problem(409 if error.missing else 502, str(error))
        case UnreadConnection():
            return Problem(503, _UNREAD, retry_after_s=_FULL_S)
        case UnknownConnection():
            return Problem(404, str(error))
        case ListError():
            return Problem(422, str(error))
        case Refusal():
            return Problem(409, str(error))
        case ConfigError() | UsherError():
            return Problem(503, str(error))
    return None


def _of_redis(error: Exception) -> Problem | None:
    match error:
        case OutOfMemoryError():
            full = "Redis is full: whoever runs it raises its maxmemory, or deletes old jobs."
            return Problem(507, full, retry_after_s=_FULL_S)
        case RedisError() | OSError() if isinstance(error, OUTAGE):
            return Problem(503, f"Redis cannot be reached ({in_few_words(error)}).", retry_after_s=_AWAY_S)
    return None


def _unexpected(error: Exception) -> Problem:
    # Its text may hold an address, its place does not
    log.error("a request ended in %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    name = type(error).__name__
    return Problem(
        500, f"usher met an error that it does not know ({name}): whoever runs it finds the place in the server's log."
    )


def _invalid(error: RequestValidationError) -> Problem:
    found = error.errors()
    if misspelt := next((one["loc"][-1] for one in found if one["loc"][0] == "path"), None):
        return Problem(
            404, f"There is nothing at this address: {_NO_SUCH.get(misspelt, f'no {misspelt} is called so')}."
        )
    faults = find_faults(found)
    first = faults[0] if faults else Fault(field="", reason="It cannot be read.")
    more = f" And {len(faults) - 1} more." if len(faults) > 1 else ""
    where = f"{first.field}: " if first.field else ""
    return Problem(422, f"The request cannot be taken: {where}{first.reason}{more} Nothing was done.", errors=faults)


def _sentence(error: HTTPException) -> str:
    match error.status_code:
        case 404 if error.detail == HTTPStatus(404).phrase:
            return "There is nothing at this address."
        case 405 if error.detail == HTTPStatus(405).phrase:
            return "This address takes other methods; the header Allow names them."
        case _:
            return str(error.detail)


def _methods(request: Request) -> set[str]:
    """Return all methods of an address: the router's own word is that of one route."""
    found: set[str] = set()
    routes = [
        route
        for router in getattr(request.app.state, "routers", ())
        for route in router.routes
        if isinstance(route, Route)
    ]
    for route in routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= set(route.methods or ())
    return found


async def _answer(request: Request, error: Exception) -> Response:
    """Answer with a problem document; a page of its own, where somebody looks at pages."""
    problem = find_problem(error)
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    if viewer is not None and problem.beyond:
        try:
            await note_refusal(request.app.state.services, viewer.bound, problem.beyond, **problem.facts)
        except OUTAGE as away:
            problem = find_problem(away)
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods(request)):
        problem.headers["Allow"] = ", ".join(sorted(methods))
    page = getattr(request.app.state, "error_page", None)
    if page is not None and not request.url.path.startswith("/v1") and "text/html" in request.headers.get("accept", ""):
        found: Response = await page(request, problem)
        return found
    return problem.response()


def install(app: FastAPI) -> None:
    """Have every error of an application answered so."""
    for kind in (
        Problem,
        RequestValidationError,
        HTTPException,
        UsherError,
        ConfigError,
        ListError,
        Refusal,
        RedisError,
    ):
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(OSError, _answer)
    app.add_exception_handler(Exception, _answer)
