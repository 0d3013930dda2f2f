"""A JSONL list is read as raw records: one JSON object a line, keys named as the columns of a CSV
are. https://jsonlines.org
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from tasks.errors import InputError
from tasks.lists.columns import (
    MOST_COLUMNS,
    Meaning,
    describe_ignored,
    parse_heading,
    quote_for_shell,
    quote_headings,
)
from tasks.lists.connection_column import ask_for_connection, find_doubtful
from tasks.lists.earlier_results import JOINED_COLUMNS, find_stage_keys, is_results_alone
from tasks.lists.encodings import describe_encoding
from tasks.lists.options import ListOptions
from tasks.lists.records import FileLine, RawRecord, RecordReader
from tasks.lists.text_lines import TextLines
from tasks.rows.cleaning import clean_values
from tasks.rows.fields import CONNECTION, NOT_KEPT, stage_of
from tasks.rows.row import BadRow, build_bad_row

_REMEMBERED: Final = 1_000  # different keys; a list has a dozen, and a hostile one must not fill the memory


class JsonlRecords(RecordReader):
    """The records of one JSONL source, in one pass. Raises `InputError` for the file alone."""

    def __init__(self, lines: TextLines, options: ListOptions | None = None) -> None:
        if lines.head == "[":
            raise InputError(
                f"{lines.name} is one JSON array; write one object a line (JSONL), for example with jq -c '.[]'."
            )
        self._lines = lines
        self._options = options or ListOptions()
        self._mapping = self._options.mapping
        self._meanings: dict[str, Meaning] = {}
        self._ignored: dict[str, None] = {}  # an ordered set

    @property
    def warnings(self) -> tuple[str, ...]:
        return (describe_ignored(self._ignored, "key"),) if self._ignored else ()

    @property
    def description(self) -> tuple[str, ...]:
        return ("JSONL", describe_encoding(self._lines.encoding))

    @property
    def read(self) -> tuple[tuple[str, str], ...]:
        meanings = self._meanings.items()
        return tuple((one.field, key) for key, one in meanings if one.field is not None and not stage_of(one.field))

    @property
    def is_result(self) -> bool:
        return set(JOINED_COLUMNS) <= self._meanings.keys()

    def __iter__(self) -> Iterator[RawRecord | BadRow]:
        number = 0
        for number, line, text in self._numbered():
            found = _parse(text)
            if isinstance(found, dict):
                yield self._build_record(found, number, line)
            else:
                yield BadRow(number, line, "", found)
        if number == 0:
            raise InputError(f"{self._lines.name} is empty.")

    def lines(self) -> Iterator[FileLine]:
        """Yield every line with what it holds, and the guests' numbers that iterating gives."""
        for number, line, text in self._numbered():
            found = _parse(text)
            if not isinstance(found, dict):
                yield FileLine(line, [text.strip()], number, is_bad=True)
                continue
            record = self._build_record(found, number, line)
            if isinstance(record, BadRow):
                yield FileLine(line, (), number, {"email": record.email}, is_bad=True, found=found)
            else:
                yield FileLine(line, (), number, record.values, found=found)

    def _numbered(self) -> Iterator[tuple[int, int, str]]:
        number = 0
        lines = self._lines
        for line, text in enumerate(lines, 1 + lines.skipped):
            lines.pending_bytes = 0
            if text.isspace():
                continue
            number += 1
            yield number, line, text

    def _build_record(self, found: dict[str, Any], number: int, line: int) -> RawRecord | BadRow:
        values: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        twice = ""
        for key, value in found.items():
            meaning = self._meanings.get(key) or self._learn(key, found)
            field = meaning.field
            if field is None or value is None:
                continue
            if field in values:
                if meaning.rank > ranks[field]:
                    continue  # `mail` beside `email`, `userPrincipalName` beside `mail`
                if meaning.rank == ranks[field]:
                    twice = field
            values[field] = value
            ranks[field] = meaning.rank
        if not self._lines.plain:
            clean_values(values)
        if twice:
            return build_bad_row(values, number, line, twice, "is given twice")
        return RawRecord(number, line, values)

    def _learn(self, key: str, found: dict[str, Any]) -> Meaning:
        meaning = parse_heading(key, self._mapping)
        if not meaning.known and key in find_stage_keys(found):
            meaning = Meaning(key if stage_of(key) else None, known=True)
        if key == NOT_KEPT and is_results_alone(found):
            meaning = Meaning(key, known=True)
        if not meaning.known and CONNECTION not in self._mapping and self._is_doubtful(key, found):
            raise ask_for_connection(quote_headings([key]), key, quote_for_shell(key), self._lines.name, self._options)
        if len(self._meanings) < _REMEMBERED:
            self._meanings[key] = meaning
            if not meaning.known:
                self._ignored[key] = None
        return meaning

    def _is_doubtful(self, key: str, found: dict[str, Any]) -> bool:
        names = self._options.connections
        return CONNECTION not in found and find_doubtful([key], [0], [[str(found[key])]], names) is not None


def _parse(text: str) -> dict[str, Any] | str:
    """Return the object in a line, or the reason why it holds none."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:  # for too deep a nesting, too
        return "is not valid JSON" + (
            f" at character {error.colno}" if error.colno > 1 else ""
        )  # 1 is said for a line cut short, too
    if not isinstance(found, dict):
        return "is not a JSON object"
    return found if len(found) <= MOST_COLUMNS else f"has more than {MOST_COLUMNS:,} keys"
