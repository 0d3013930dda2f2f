"""A route says what it needs of whoever asks: `viewer: Submitting`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from console.access import bearer
from console.access.forms import check_form, csrf_token, is_from_browser
from console.access.guard import API, path_of
from console.access.viewer import Kind, Role, Viewer

SIGN_IN: Final = "/signin"
_bearer = HTTPBearer(
    scheme_name="bearer",
    description="A producer's token, or an Entra access token with an app role of this console.",
    auto_error=False,  # the guard has looked at it already
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]  # for the OpenAPI document alone

__all__ = ["Approving", "Operating", "Submitting", "Viewing", "csrf_token", "need"]


def need(role: Role) -> Callable[[Request, _Credentials], Awaitable[Viewer]]:
    """Return the dependency that gives a route its viewer, who has at least this role.

    It raises HTTPException: 401 (a page: 303 to the sign-in) without one, 403 with too little, and
    403 where a form does not come from our own page.
    """

    async def asked(request: Request, _: _Credentials = None) -> Viewer:
        viewer: Viewer | None = request.state.viewer
        if viewer is None:
            raise _not_signed_in(request)
        if not viewer.can(role) and viewer.bound is not None:
            raise HTTPException(
                403,
                f"{role.word}: this needs the role {role.word}, and {viewer.name} has {viewer.role.word}: a producer"
                " looks after its own jobs alone.",
            )
        if not viewer.can(role):
            raise HTTPException(
                403,
                f"This needs the role {role.word}, and {viewer.name} has {viewer.role.word}: whoever gives out the"
                " app roles of usher in Entra can change that.",
            )
        if _may_be_forged(request, viewer):
            await check_form(request, own_origin=_own_origin(request))
        return viewer

    return asked


Viewing = Annotated[Viewer, Depends(need(Role.VIEW))]
Submitting = Annotated[Viewer, Depends(need(Role.SUBMIT))]
Approving = Annotated[Viewer, Depends(need(Role.APPROVE))]
Operating = Annotated[Viewer, Depends(need(Role.OPERATE))]


def _not_signed_in(request: Request) -> Exception:
    if request.state.refused is not None:
        refused: Exception = request.state.refused
        return refused
    if path_of(request).startswith(API) or request.method != "GET":
        return bearer.refused("Sign in first.")
    query = request.scope["query_string"].decode("latin-1")
    to = path_of(request) + (f"?{query}" if query else "")
    return HTTPException(303, "Sign in first.", {"Location": f"{SIGN_IN}?to={quote(to, safe='/')}"})


def _may_be_forged(request: Request, viewer: Viewer) -> bool:
    """Tell whether a browser may have sent a request that its user knows nothing of: only where it
    adds the credential by itself.
    """
    if viewer.kind in (Kind.PRODUCER, Kind.PROGRAM):
        return False
    from_program = viewer.local and path_of(request).startswith(API) and not is_from_browser(request)
    return not from_program


def _own_origin(request: Request) -> str:
    settings = request.app.state.settings()
    if settings.console.signs_in:
        return str(settings.console.public_url)  # a proxy may call us by another scheme or host
    return f"{request.url.scheme}://{request.headers.get('host', '')}".lower()
