"""The HTML that all of the sandbox's pages are made of: whatever comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2rem;max-width:80rem}table{border-collapse:collapse;margin:.5rem 0"
    " 1.5rem}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left;vertical-align:top}th{background:#f3f3f3}"
    "pre{white-space:pre-wrap;border:1px solid #ccc;padding:.6rem}iframe{width:100%;height:32rem;border:1px solid #ccc}"
)


@dataclass(frozen=True, slots=True)
class Link:
    """A cell that leads somewhere; `target` is a path or URL of the sandbox's own."""

    text: str
    target: str


def table(heads: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """Return a table."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def page(title: str, body: str) -> str:
    """Return a whole page; `body` is HTML."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>{body}</html>"
    )


def _cell(cell: object) -> str:
    if isinstance(cell, Link):
        return f'<a href="{escape(cell.target, quote=True)}">{escape(cell.text)}</a>'
    return escape(str(cell))
