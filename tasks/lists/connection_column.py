"""A column that may be meant for `connection`, and is not headed so, is a question: left out, its
rows would go through every chosen connection, each customer's guests into every customer's tenant.

Two things raise it: a heading that is nearly the word, and cells that are names of the connections
the list goes through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Final

from tasks.lists.ambiguities import Ambiguity, Choice
from tasks.lists.headings import heading_key
from tasks.lists.options import ListOptions
from tasks.rows.fields import CONNECTION

_NEARLY: Final = 0.88  # "conection" 0.95, "connections" 0.95; "connected on" 0.86, "collection" 0.8


def is_nearly(heading: str) -> bool:
    """Tell whether a heading is `connection` but for a letter or two. Pure."""
    return SequenceMatcher(None, heading_key(heading), CONNECTION).ratio() >= _NEARLY


def find_doubtful(
    cells: Sequence[str], unread: Iterable[int], rows: Sequence[Sequence[str]], names: Collection[str]
) -> int | None:
    """Return the first column of those not read that may be meant for `connection`. Pure."""
    for index in unread:
        told = {row[index].strip() for row in rows if index < len(row)}
        if is_nearly(cells[index]) or not told.isdisjoint(names):
            return index
    return None


def ask_for_connection(shown: str, wanted: str, typed: str, name: str, options: ListOptions) -> Ambiguity:
    """Return the question whether that column says through which connection a row goes. `shown`:
    its heading for people; `wanted`: how `--map` names the column; `typed`: that for a shell.
    """

    def mapped(column: str) -> ListOptions:
        return replace(options, mapping={**options.mapping, CONNECTION: column})

    return Ambiguity(
        f"{name} has a column {shown}, which may be meant to say through which connection a row goes. If it is,"
        f" call it `{CONNECTION}` or say --map {CONNECTION}={typed}; if not, --map {CONNECTION}= leaves it out.",
        f"{name}: does the column {shown} say through which connection a row goes?",
        (Choice("yes", mapped(wanted)), Choice("no, leave it out", mapped(""))),
    )
