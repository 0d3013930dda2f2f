"""A listing of guests is kept in a file of its own until it is whole, then written: memory is flat,
and nothing half-read is taken for all.

The file has no name, so that nothing stays of it, whatever ends the process.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from tasks.results.write import write_rows
from worker.graph.guests import Also, Guest

COLUMNS = ("id", "email", "display_name", "state", "state_since", "created", "enabled")
USER_COLUMNS = ("id", "email", "upn", "display_name", "user_type", "state", "created", "enabled")
EXPIRES = "expires"
"""The column of the day on which a guest's access ends."""
_MORE_COLUMNS = (Also.SPONSORS, Also.SIGN_INS)
_WRITTEN = 4 << 20  # bytes in memory before they go to the disk


def columns_of(also: Collection[Also]) -> tuple[str, ...]:
    """Return the columns of a listing: sponsors, dates of signing in and the end of access only
    where asked for.
    """
    more = (*(column.value for column in _MORE_COLUMNS if column in also), *([EXPIRES] * (Also.ATTRIBUTES in also)))
    return (*COLUMNS, *more)


def describe_guest(guest: Guest, columns: Collection[str], expiry_attribute: str = "") -> dict[str, Any]:
    """Return a guest by column. `expiry_attribute`: where the end of access lies."""
    told = {
        "id": guest.id,
        "email": guest.email,
        "upn": guest.upn,
        "display_name": guest.display_name,
        "user_type": guest.user_type.lower(),
        "state": guest.state.value,
        "state_since": _text(guest.state_since),
        "created": _text(guest.created_at),
        "enabled": guest.enabled,
        Also.SPONSORS.value: None if guest.sponsors is None else list(guest.sponsors),
        Also.SIGN_INS.value: _text(guest.signed_in_at),
        EXPIRES: guest.attributes.get(expiry_attribute) or None,
    }
    return {column: told[column] for column in columns}


class GuestListing:
    """Guests on their way to a file, a pipe or a terminal."""

    def __init__(self, columns: Collection[str], expiry_attribute: str = "") -> None:
        self.columns = tuple(columns)
        self._expiry_attribute = expiry_attribute
        self.count = 0
        # `close` does
        self._file = tempfile.SpooledTemporaryFile(_WRITTEN, "w+", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all of it."""
        self._file.close()

    def begin(self) -> None:
        """Let go of what was put so far: the listing begins again."""
        self.count = 0
        self._file.seek(0)
        self._file.truncate()

    def put(self, guest: Guest) -> None:
        """Add a guest."""
        self.put_row(describe_guest(guest, self.columns, self._expiry_attribute))

    def put_row(self, row: Mapping[str, Any]) -> None:
        """Add what is told of a guest already, by column."""
        self._file.write(json.dumps(row) + "\n")
        self.count += 1

    def rows(self) -> Generator[dict[str, Any], None, None]:
        """Yield the guests by column, in their order."""
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)

    def write(self, form: str, output: Path | None) -> int:
        """Write them as csv or jsonl, '' for what the file's name ends in, to a file for its owner
        alone or to standard output. Raises `OutputError`.
        """
        with closing(self.rows()) as rows:
            return write_rows(output, self.columns, rows, form).rows


def _text(at: Any) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
