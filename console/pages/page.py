"""A page is a template, filled for one viewer in one language.

@router.get("/jobs")
async def show(page: Viewing) -> Response:
    return page.show("jobs.html", views=…)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from config.errors import ConfigError
from config.version import read_version
from console.access.need import csrf_token, need
from console.access.viewer import Role, Viewer
from console.pages import wordings
from console.pages.language import LANGUAGES, Forms, choose_language, find_zone, load_words
from console.pages.sentences import translate
from console.parts import Parts, PartsOf
from console.problems import Problem
from worker.ledger.job_view import JobView
from worker.operations.registry import find_operation
from worker.services import Services

TEMPLATES: Final = Path(__file__).parent / "templates"
_HTMX: Final = "hx-request"


@dataclass(slots=True)
class Page:
    """What a view works with: the services, and whoever looks."""

    request: Request
    parts: Parts
    viewer: Viewer
    language: str = field(init=False)
    forms: Forms = field(init=False)

    def __post_init__(self) -> None:
        self.language = choose_language(self.request)
        self.forms = Forms(self.language, find_zone(self.request))

    @property
    def services(self) -> Services:
        """The opened services."""
        return self.parts.services

    @property
    def is_part(self) -> bool:
        """Whether htmx asks for a part of a page."""
        return _HTMX in self.request.headers

    @property
    def owner(self) -> str:
        """Whose lists a viewer may go on with."""
        return f"{self.viewer.kind} {self.viewer.actor}"

    def may_repeat(self, *views: JobView) -> bool:
        """Tell whether the viewer may have done again what these jobs did: what takes something
        away from guests needs the role `operate`.
        """
        try:
            done = [find_operation(name) for view in views for name in (view.operation, *view.stages)]
        except ConfigError:  # a newer usher's
            return False
        takes_away = any(operation.guarded or operation.only_looks for operation in done)
        return self.viewer.can(Role.OPERATE if takes_away else Role.SUBMIT)

    def say(self, text: str, **values: Any) -> str:
        """Return a text of `wordings` in the page's language."""
        said = load_words(self.language).gettext(text)
        return said % values if values else said

    def show(self, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        """Fill a template."""
        text = (
            environment(self.language)
            .get_template(template)
            .render({**_frame(self.request, self.viewer, self.language, self.forms), **values})
        )
        return HTMLResponse(text, status, {"Vary": "Accept-Language, Cookie", "Cache-Control": "no-store"})

    def go(self, path: str) -> RedirectResponse:
        """Send the browser on, after a form was taken."""
        return RedirectResponse(path, 303)


def page_for(role: Role) -> Callable[..., Awaitable[Page]]:
    """Return the dependency that gives a view its page, for whoever has at least this role."""

    async def build(
        request: Request,
        parts: PartsOf,
        viewer: Viewer = Depends(need(role)),  # noqa: B008 - an annotation is read where `role` is not known
    ) -> Page:
        return Page(request, parts, viewer)

    return build


Viewing = Annotated[Page, Depends(page_for(Role.VIEW))]
Submitting = Annotated[Page, Depends(page_for(Role.SUBMIT))]
Approving = Annotated[Page, Depends(page_for(Role.APPROVE))]
Operating = Annotated[Page, Depends(page_for(Role.OPERATE))]


def _frame(request: Request, viewer: Viewer | None, language: str, forms: Forms) -> dict[str, Any]:
    """Return what every template may use."""
    return {
        "request": request,
        "path": request.url.path,
        "viewer": viewer,
        "can": {role.word: viewer is not None and viewer.can(role) for role in Role},
        "csrf_token": csrf_token(request) if viewer is not None else "",
        "language": language,
        "languages": LANGUAGES,
        "forms": forms,
        "n": forms.number,
        "when": forms.moment,
        "span": forms.span,
        "now": datetime.now(UTC),
        "version": read_version(),
    }


@lru_cache
def environment(language: str) -> Environment:
    """Return what fills templates in one language."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(load_words(language), newstyle=True)  # type: ignore[attr-defined]
    made.globals |= {"words": wordings, "translate": partial(translate, gettext=load_words(language).gettext)}
    return made


async def error_page(request: Request, problem: Problem) -> Response:
    """Return the page about a request that cannot be met."""
    language = choose_language(request)
    forms = Forms(language, find_zone(request))
    frame = _frame(request, getattr(request.state, "viewer", None), language, forms)
    template = environment(language).get_template("part_error.html" if _HTMX in request.headers else "error.html")
    text = template.render({**frame, "status": problem.status, "detail": problem.detail})
    return HTMLResponse(text, problem.status, problem.headers)
