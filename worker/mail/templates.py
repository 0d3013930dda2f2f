"""A mail's words come from Jinja2 templates: an administrator's own folder first, then those that
come with usher.

`invite.txt` has the subject in its first line and the text below; `invite.html`, beside it, is the
same for readers with HTML. `invite.de.txt` is for German, `invite.de-at.txt` for Austria's. A
folder of one's own goes first as a whole: whoever wrote one text in English wants that text, not
usher's German.

Templates are sandboxed and read nothing but what they are given. A name that they are not given is
a fault, never an empty place in a mail.
https://jinja.palletsprojects.com/en/stable/sandbox/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import MailUnusable

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

OURS = Path(__file__).parent / "templates"
LONGEST_SUBJECT = 200
"""Characters; a longer one is cut. What is shown of one ends well before."""
_INVITE = "invite"
"""The kind of mail whose guest can do nothing without the link."""
_NORWEGIAN = ("nb", "no", "nn")
"""Bokmål, Norwegian, Nynorsk: who has none of their own reads the others."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one mail. `html` is '' where there is no such template."""

    subject: str
    text: str = field(repr=False)  # they hold the link
    html: str = field(repr=False)
    template: str  # its name without the ending: `invite.de`

    @property
    def language(self) -> str:
        """The language of the template; '' of the one for all, which may be in any."""
        return self.template.partition(".")[2]


def write(kind: str, language: str, values: Mapping[str, str], folder: str | None = None) -> Words:
    """Return a mail's words: the templates `kind` in `language`, or in the nearest there is, filled
    in.

    `folder`: of the administrator's own templates. Raises `MailUnusable` with a sentence that holds
    no value.
    """
    stem, is_html = _find(kind, language, folder)
    whole = _render(f"{stem}.txt", values, folder)
    first, _, text = whole.lstrip("\r\n").partition("\n")
    subject = " ".join("".join(c if c.isprintable() else " " for c in first).split())[:LONGEST_SUBJECT]
    if not subject:
        raise MailUnusable(f"The template {stem}.txt has no subject: it stands in the first line.")
    html = _render(f"{stem}.html", {**values, "subject": subject}, folder) if is_html else ""
    if kind == _INVITE:
        _check_link(stem, values["link"], text, html)
    return Words(subject, text.strip("\r\n") + "\n", html, stem)


def _check_link(stem: str, link: str, text: str, html: str) -> None:
    """Raise `MailUnusable` where a part of an invitation does not show its link."""
    for name, part in ((f"{stem}.txt", text), (f"{stem}.html", unescape(html))):
        if part and link not in part:
            raise MailUnusable(
                f"The template {name} does not show {{{{ link }}}}, without which no guest can accept, so no mail goes"
                " out: whoever runs usher adds it."
            )


def candidates(language: str) -> Iterator[str]:
    """Yield the languages to look for, the nearest first; '' at the end is the template for all."""
    tag = language.strip().lower().replace("_", "-")
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]
    if language.strip().lower().replace("_", "-").partition("-")[0] in _NORWEGIAN:
        yield from _NORWEGIAN
    yield ""


def _find(kind: str, language: str, folder: str | None) -> tuple[str, bool]:
    """Return the stem of the template to take, and whether it has an HTML part."""
    for place in (Path(folder) if folder else None, OURS):
        names = _names(place) if place else {}
        for tag in candidates(language):
            stem = f"{kind}.{tag}" if tag else kind
            text, html = names.get(f"{stem}.txt"), names.get(f"{stem}.html")
            if text:
                return text.removesuffix(".txt"), html == f"{text.removesuffix('.txt')}.html"
            if html:
                raise MailUnusable(
                    f"The template {html} has no {stem}.txt beside it, which holds the subject and the text for readers"
                    " without HTML: whoever runs usher adds it to the folder that mail.templates names."
                )
    raise MailUnusable(f"There is no template {kind}.txt.")


def _names(folder: Path) -> dict[str, str]:
    """Return the names of a folder's files, by their lower-case form."""
    try:
        return {path.name.lower(): path.name for path in folder.iterdir()}
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise MailUnusable(
            f"The folder of templates that mail.templates names cannot be used ({reason}): whoever runs usher corrects"
            " the setting or the folder."
        ) from None


@lru_cache(maxsize=8)
def _environment(folder: str | None) -> ImmutableSandboxedEnvironment:
    from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined  # 60 ms, for those who mail
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    places = [Path(folder), OURS] if folder else [OURS]
    return ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(place) for place in places]),
        autoescape=lambda name: bool(name) and str(name).endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _render(name: str, values: Mapping[str, str], folder: str | None) -> str:
    from jinja2 import TemplateError, TemplateSyntaxError

    fault = ""
    try:
        return _environment(folder).get_template(name).render(values)
    except TemplateSyntaxError as error:
        fault = f"line {error.lineno}: {error.message}"
    except (TemplateError, OSError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        fault = str(error) or type(error).__name__
    for value in sorted(values.values(), key=len, reverse=True):  # a fault may quote what a name stood for
        if len(value) > 2:
            fault = fault.replace(value, "…")
    raise MailUnusable(
        f"The template {name} cannot be used ({fault[:200]}), so no mail goes out: whoever runs usher corrects it, and"
        " `usher mail preview` shows it filled in."
    )
