"""A CSV is written in usher's own way, or in a list's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """Delimiter, encoding by Python's name, whether a mark of the encoding comes first, and what
    ends a line.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    mark: bool = False
    line_end: str = "\n"


PLAIN: Final = CsvStyle()
