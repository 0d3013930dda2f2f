"""The mail that the sandbox received, for a person: a list, and one letter as text, as HTML and
with its headers.

A letter's HTML is shown in a frame that may run nothing, load nothing and lead nowhere; of its
links those to the sandbox's own redeem page stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape, unescape
from itertools import islice
from typing import Any

from sandbox.serving.html import Link, page, table

_SHOWN = 200
_URL = re.compile(r"https?://[^\s\"'<>]+")


def mail_rows(mails: Iterable[dict[str, Any]]) -> str:
    """Return a table of letters, the latest first, as far as a page goes."""
    rows = [
        (
            Link(str(mail["n"]), f"/mails/{mail['n']}"),
            mail["at"],
            mail["via"],
            mail["from"],
            mail["to"],
            ", ".join(mail["cc"]),
            mail["subject"],
            mail["count"],
        )
        for mail in islice(mails, _SHOWN)
    ]
    return table(("number", "at", "by", "from", "to", "cc", "subject", "mails to this address"), rows)


def mail_list(mails: Iterable[dict[str, Any]], total: int) -> str:
    """Return the page of all letters; `mails` begin with the latest."""
    shown = f"{total} letters; nothing left this machine." if total else "No letters yet."
    return page("Mail", f'<p><a href="/">Sandbox</a></p><h1>Mail</h1><p>{shown}</p>{mail_rows(mails)}')


def mail_page(mail: dict[str, Any] | None, base_url: str) -> tuple[int, str]:
    """Return the page of one letter, and its status: 404 where it is not known any more."""
    back = '<p><a href="/mails">Mail</a></p>'
    if mail is None:
        return 404, page("Mail", f"{back}<h1>There is no such letter.</h1>")
    about = [
        (name, ", ".join(mail[key]) if key == "cc" else mail[key])
        for name, key in (
            *(("From", "from"), ("To", "to"), ("Cc", "cc"), ("Reply to", "reply_to"), ("Date", "at"), ("By", "via")),
            ("Message id", "message_id"),
        )
        if mail[key]
    ]
    parts = [f"{back}<h1>{escape(mail['subject'] or '(no subject)')}</h1>", table(("", ""), about)]
    links = _own_links(mail, base_url)
    if links:
        parts.append("<h2>Links to the sandbox</h2>" + table(("link",), [(Link(link, link),) for link in links]))
    if mail["html"]:
        framed = escape(mail["html"], quote=True)
        parts.append(f'<h2>As HTML</h2><iframe sandbox="" title="The letter" srcdoc="{framed}"></iframe>')
    if mail["text"]:
        parts.append(f"<h2>As text</h2><pre>{escape(mail['text'])}</pre>")
    if mail["headers"]:
        parts.append("<h2>Headers</h2>" + table(("name", "value"), [tuple(header) for header in mail["headers"]]))
    return 200, page(mail["subject"] or "Mail", "".join(parts))


def _own_links(mail: dict[str, Any], base_url: str) -> list[str]:
    found = [*_URL.findall(mail["text"]), *(unescape(url) for url in _URL.findall(mail["html"]))]
    return list(dict.fromkeys(url for url in found if url.startswith(f"{base_url}/redeem?")))
