"""The OpenAPI document: made by FastAPI; what the routes' types cannot say is added here."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from console.v1.answers import SCHEMAS

_ABOUT: Final = (
    "Everything that the command `usher` does with lists and jobs, for programs. Answers that are no success are"
    " problem documents (RFC 9457)."
)
_TAGS: Final = [
    {"name": "jobs", "description": "Lists that were submitted."},
    {"name": "submissions", "description": "Lists that went through several connections: a job for each."},
    {"name": "rows", "description": "How the rows of a job ended."},
    {"name": "connections", "description": "Tenants, with the application that works there."},
    {"name": "guests", "description": "Who is a guest of a tenant."},
]


def install(app: FastAPI) -> None:
    """Have an application tell its document so."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's own documentation has it


def _build(app: FastAPI) -> dict[str, Any]:
    told = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=_ABOUT, routes=app.routes, tags=_TAGS
    )
    schemas = told.setdefault("components", {}).setdefault("schemas", {})
    for kind in SCHEMAS:
        own = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= own.pop("$defs", {})
        schemas[kind.__name__] = own
    schemas.pop("HTTPValidationError", None)  # FastAPI's own form of a 422, which is never answered
    schemas.pop("ValidationError", None)
    return told
