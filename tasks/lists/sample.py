"""The plan shows three rows of a list, by which one sees at a glance that the list was read as it
was meant.

Names that are not ASCII come first: they are what a wrong encoding spoils. Then the first rows,
where a wrong column shows.
"""

from __future__ import annotations

from typing import Final

from tasks.rows.row import ValidRow

ROWS: Final = 3


class Sample:
    """Rows picked while a list is read."""

    __slots__ = ("_first", "_odd", "wants_more")

    def __init__(self) -> None:
        self._first: list[ValidRow] = []
        self._odd: list[ValidRow] = []
        self.wants_more = True
        """Whether `add` still changes anything: asked for every row, so it must be quick."""

    def add(self, row: ValidRow) -> None:
        """Look at a row."""
        name = row.row.get("display_name")
        if name is not None and not name.isascii():
            self._odd.append(row)
            self.wants_more = len(self._odd) < ROWS
        elif len(self._first) < ROWS:
            self._first.append(row)

    def lines(self) -> list[str]:
        """Return the rows as text, `Zoë Martin <zoe@partner.example>` with what else was given."""
        return [_line(row) for row in (*self._odd, *self._first)[:ROWS]]


def _line(row: ValidRow) -> str:
    values = row.row
    name = values.get("display_name")
    shown = f"{name} <{values['email']}>" if name else values["email"]
    rest = [f"{field} {values[field]}" for field in ("language", "user_type", "ref") if field in values]
    place = f"line {row.line}: " if row.line is not None else ""
    return f"{place}{shown}{', ' + ', '.join(rest) if rest else ''}"
