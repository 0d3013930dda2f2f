"""A narrow terminal does not tear this table apart: an id, an address or a time that is broken over
lines cannot be copied.
"""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_LAST_AT_LEAST = 16
"""Columns that the last column is content with: it holds sentences and names of files, which may be
broken between words.
"""


class CalmTable(Table):
    """A table whose last column alone is broken over lines. Where even that leaves no room each row
    becomes a paragraph.

    A table without headings is facts, two columns of which the second is broken; it stays as it is.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or the paragraphs."""
        if not self.show_header:
            yield from super().__rich_console__(console, options)
        elif self._fits(console, options):
            for column in self.columns[:-1]:
                column.no_wrap = True
            yield from super().__rich_console__(console, options)
        else:
            yield from self._stacked().__rich_console__(console, options)

    def _fits(self, console: Console, options: ConsoleOptions) -> bool:
        whole = options.update(max_width=10_000)
        widths = [
            max((Measurement.get(console, whole, cell).maximum for cell in (column.header, *column.cells)), default=0)
            for column in self.columns
        ]
        widths[-1] = min(widths[-1], _LAST_AT_LEAST)
        return sum(widths) + 2 * (len(widths) - 1) <= options.max_width

    def _stacked(self) -> Table:
        """Each row's first cell, and beside it those others that hold anything, with headings."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False, show_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        headings = [str(column.header) for column in self.columns]
        for first, *cells in zip(*(column.cells for column in self.columns), strict=True):
            parts = [
                Text.assemble((f"{heading} " if heading else "", "dim"), cell if isinstance(cell, Text) else str(cell))
                for heading, cell in zip(headings[1:], cells, strict=True)
                if str(cell)
            ]
            table.add_row(first, Text(" · ").join(parts))
        return table
