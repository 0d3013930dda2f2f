"""How a CSV is written: usher's own way, a list's own way, or so that a double click opens it right in this place's Excel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """Delimiter, encoding by Python's name, whether a mark of the encoding comes first, and what ends a line."""

    delimiter: str = ","
    encoding: str = "utf-8"
    mark: bool = False
    line_end: str = "\n"


PLAIN: Final = CsvStyle()

# Where a decimal comma is written, Excel separates a list's cells by semicolons.
# https://support.microsoft.com/office/import-or-export-text-txt-or-csv-files-5250ac4c-663c-47ce-937b-339e391393ba
_COMMA_LANGUAGES: Final = frozenset(
    [
        "af",
        "az",
        "be",
        "bg",
        "bs",
        "ca",
        "cs",
        "da",
        "de",
        "el",
        "es",
        "et",
        "eu",
        "fi",
        "fo",
        "fr",
        "gl",
        "hr",
        "hu",
        "hy",
        "id",
        "is",
        "it",
        "ka",
        "kk",
        "ky",
        "lt",
        "lv",
        "mk",
        "mn",
        "nb",
        "nl",
        "nn",
        "no",
        "pl",
        "pt",
        "ro",
        "ru",
        "sk",
        "sl",
        "sq",
        "sr",
        "sv",
        "tr",
        "uk",
        "uz",
        "vi",
    ]
)
_POINT_PLACES: Final = frozenset(
    ["es_MX", "es_US", "es_GT", "es_HN", "es_NI", "es_PA", "es_PE", "es_PR", "es_SV", "es_DO"]
)  # speak such a language and write a point
_SEMICOLON_PLACES: Final = frozenset(["en_ZA", "en_CH", "en_DE", "en_AT", "en_NL", "en_SE", "en_DK", "en_FI"])


def excel_style(environ: Mapping[str, str]) -> CsvStyle:
    """Return what Excel opens with a double click: UTF-8 with its mark, and the separator of this place's locale."""
    place = next((value for name in ("LC_ALL", "LC_NUMERIC", "LANG") if (value := environ.get(name))), "")
    place = place.partition(".")[0].partition("@")[0].replace("-", "_")
    language = place.partition("_")[0].lower()
    semicolon = place in _SEMICOLON_PLACES or (language in _COMMA_LANGUAGES and place not in _POINT_PLACES)
    return CsvStyle(";" if semicolon else ",", "utf-8", mark=True, line_end="\r\n")
