"""A CSV is written in usher's own way, or in a list's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """Delimiter, Python's name of the encoding, whether its mark comes first, the line's end."""

    delimiter: str = ","
    encoding: str = "utf-8"
    mark: bool = False
    line_end: str = "\n"


PLAIN: Final = CsvStyle()
