"""The application is put together here: its routers, its limits, and the services that all of them
use.

A router is a module with `router = APIRouter(…)`, and one line in `ROUTERS`. What a request works
with comes from `console.parts`; who asks, and what they may do, from `console.access`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import FastAPI

from config.version import read_version
from console import openapi, problems
from console.access.guard import Guard
from console.following import follow_all
from console.limits import Limits
from console.pages.page import error_page
from console.parts import Parts
from worker.ledger.programs.token_need import TokenNeed, keep_noted

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from worker.services import Services

ROUTERS: Sequence[str] = (
    "console.health",
    "console.access.signin",
    "console.v1.jobs",
    "console.v1.submissions",
    "console.v1.results",
    "console.v1.events",
    "console.v1.dry_runs",
    "console.v1.connections",
    "console.v1.guests",
    "console.pages.routes",
)
"""The modules whose `router` is served, in the order in which their paths are tried."""

Opening = Callable[[], "AbstractAsyncContextManager[Services]"]


def build_app(opening: Opening, *, follower: int | None = None, ending: asyncio.Event | None = None) -> FastAPI:
    """Build the application. `opening` opens the services for as long as it is served.

    `follower`: the process that keeps the private stack, where there is one; jobs that are
    submitted here run on while it lives. `ending` is set when the server is told to end.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opening() as services:
            app.state.parts = Parts(services, follower, ending or asyncio.Event())
            app.state.services, app.state.settings = services, services.settings
            at_work = [asyncio.create_task(keep_noted(TokenNeed(services.client, services.keys), services.settings))]
            if follower is not None:
                at_work.append(asyncio.create_task(follow_all(services.jobs, follower)))
            try:
                yield
            finally:
                for task in at_work:
                    task.cancel()

    app = _Guarded(
        title="usher",
        version=read_version(),
        summary="Bulk guest invitations for Microsoft Entra.",
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page loads scripts from foreign hosts
        redoc_url=None,
    )
    app.add_middleware(Limits)
    problems.install(app)
    app.state.error_page = error_page
    openapi.install(app)
    app.state.routers = [import_module(name).router for name in ROUTERS]
    for router in app.state.routers:
        app.include_router(router)
    return app


class _Guarded(FastAPI):
    """The application behind its guard, who is outermost: what answers an unexpected error is
    guarded too.
    """

    def build_middleware_stack(self) -> ASGIApp:
        return Guard(super().build_middleware_stack())
