"""The addresses of the pages: one module a page, and here what belongs to none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from console.access.viewer import Role
from console.pages import audit, connections, guests, invite, jobs, schedules, submissions, undoing
from console.pages.language import COOKIE, LANGUAGES
from console.pages.page import Viewing

STATIC: Final = Path(__file__).parent / "static"
FILES: Final = ("usher.css", "usher.js", "usher.svg", "htmx.min.js", "example.csv")
"""What pages load: all of it is packaged, nothing comes from elsewhere."""
_YEAR_S: Final = 31_536_000

router = APIRouter(include_in_schema=False)
for _part in (invite, undoing, jobs, submissions, guests, connections, schedules, audit):
    router.include_router(_part.router)


@router.get("/")
async def start(page: Viewing) -> Response:
    """Begin where the viewer can do most."""
    return page.go("/invite" if page.viewer.can(Role.SUBMIT) else "/jobs")


@router.get("/language")
async def choose_language(to: str = "", back: str = "/") -> Response:
    """Keep the language that was chosen, and go back."""
    is_ours = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    answer = RedirectResponse(back if is_ours else "/", 303)
    if to in LANGUAGES:
        answer.set_cookie(COOKIE, to, max_age=_YEAR_S, samesite="strict", httponly=True)
    return answer


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Give what pages load."""
    if name not in FILES:
        raise HTTPException(404)
    return FileResponse(STATIC / name, headers={"Cache-Control": "no-cache"})  # asked for again by its ETag
