"""A real HTTP server for an app of the console, in the test's own loop; and a small app that has
its access alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

from config.settings import Settings
from console import problems
from console.access import signin
from console.access.guard import Guard
from console.access.need import Operating, Submitting, Viewing, csrf_token
from sandbox.certificates import ServerFiles
from worker.ledger.audit.account import present_actor


@asynccontextmanager
async def serving(app: Any, opened: socket.socket | None = None, tls: ServerFiles | None = None) -> AsyncIterator[str]:
    """Serve an app on a port of loopback, any free one or the socket's; gives its address."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_level="warning",
        lifespan="off",
        ssl_certfile=tls.chain_file if tls else None,
        ssl_keyfile=tls.key_file if tls else None,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([opened] if opened else None))
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def build_access_app(settings: Callable[[], Settings], services: Any = None) -> FastAPI:
    """Build an app with nothing but the guard, the sign-in, and routes that say who asks: it has no
    ledger unless it is given one.
    """
    app = FastAPI()
    app.state.settings, app.state.services = settings, services
    app.add_middleware(Guard)
    problems.install(app)
    app.include_router(signin.router)

    @app.get("/")
    @app.get("/jobs")
    async def page(request: Request, viewer: Viewing) -> dict[str, Any]:
        return {"token": csrf_token(request), "name": viewer.name, "local": viewer.local, "role": viewer.role.word}

    @app.get("/v1/who")
    async def who(viewer: Viewing) -> dict[str, Any]:
        return {"actor": viewer.actor, "role": viewer.role.word, "kind": viewer.kind, "acting": present_actor()}

    @app.post("/change")
    @app.post("/v1/change")
    async def change(viewer: Submitting) -> dict[str, str]:
        return {"acting": present_actor()}

    @app.post("/operate")
    @app.post("/v1/operate")
    async def operate(viewer: Operating) -> dict[str, str]:
        return {"acting": present_actor()}

    @app.get("/healthz")
    async def health() -> str:
        return "ok"

    return app
