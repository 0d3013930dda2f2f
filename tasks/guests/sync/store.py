"""The list, and what differs from it, lie on the disk while they are compared: memory is flat,
however many guests there are.

The database has no name, so that nothing stays of it, whatever ends the process.
https://www.sqlite.org/inmemorydb.html#temp_db
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Self

from tasks.guests.sync.difference import MEMBERSHIPS, Change, Kind
from tasks.rows.row import BadRow, ValidRow
from worker.addresses import fold_address
from worker.ledger.model import STAGES_DONE

_NAMED = (*MEMBERSHIPS, "sponsors")
MOST_NAMES = 10_000
"""Different groups, teams or sponsors of one list."""
_MOST_BAD = 1_000
"""Bad rows that are kept; the others are counted."""
_TABLES = """
CREATE TABLE listed (address TEXT PRIMARY KEY, number INTEGER, row TEXT, met INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE TABLE members (guest TEXT, target TEXT, PRIMARY KEY (guest, target)) WITHOUT ROWID;
CREATE TABLE changes (kind TEXT, number INTEGER, email TEXT, told TEXT, loses INTEGER);
CREATE INDEX by_number ON changes (kind, number);
"""


class SyncStore:
    """A list and its tenant, row by row. `names`: what its rows name, by column."""

    def __init__(self) -> None:
        self.bad: list[BadRow] = []
        self.bad_count = 0
        self.repeated = 0
        self.names: dict[str, dict[str, int]] = {column: {} for column in _NAMED}
        # Threads take turns: a long list must not stop the loop that renews a schedule's claim
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def put(self, row: ValidRow | BadRow) -> None:
        """Take a row of the list."""
        if isinstance(row, BadRow):
            self.bad_count += 1
            if len(self.bad) < _MOST_BAD:
                self.bad.append(row)
            return
        address = fold_address(row.row["email"])
        said = {name: value for name, value in row.row.items() if name != STAGES_DONE}
        added = self._database.execute(
            "INSERT OR IGNORE INTO listed (address, number, row) VALUES (?, ?, ?)",
            (address, row.number, json.dumps(said)),
        )
        if not added.rowcount:
            self.repeated += 1
            return
        for column, names in self.names.items():
            for name in row.row.get(column) or ():
                if name in names or len(names) < MOST_NAMES:
                    names[name] = names.get(name, 0) + 1

    def miss(self, rows: int) -> None:
        """Take note of rows elsewhere of which nobody can tell whose guests they name."""
        self.bad_count += rows

    @property
    def rows(self) -> int:
        """How many guests the list names."""
        return int(self._database.execute("SELECT count(*) FROM listed").fetchone()[0])

    def begin(self) -> None:
        """Forget what was found of the tenant's guests: their listing begins again."""
        self._database.executescript("UPDATE listed SET met = 0; DELETE FROM changes;")

    def put_members(self, target: str, guests: Iterable[str]) -> None:
        """Take the ids of members of a group or team."""
        self._database.executemany(
            "INSERT OR IGNORE INTO members (guest, target) VALUES (?, ?)", ((guest.lower(), target) for guest in guests)
        )

    def memberships(self, guest: str) -> frozenset[str]:
        """Return the ids of what a guest is a member of."""
        found = self._database.execute("SELECT target FROM members WHERE guest = ?", (guest.lower(),))
        return frozenset(target for (target,) in found)

    def find(self, addresses: Iterable[str]) -> tuple[int, dict[str, Any]] | None:
        """Return the first row of the list that has one of a guest's addresses, and its number; it
        counts as met, as all of them do.
        """
        folded = list(dict.fromkeys(fold_address(address) for address in addresses if address))
        if not folded:
            return None
        places = ",".join("?" * len(folded))
        found = self._database.execute(
            f"SELECT number, row FROM listed WHERE address IN ({places}) ORDER BY number LIMIT 1",  # noqa: S608 - marks
            folded,
        ).fetchone()
        if found is None:
            return None
        self._database.execute(f"UPDATE listed SET met = 1 WHERE address IN ({places})", folded)  # noqa: S608 - marks
        return int(found[0]), json.loads(found[1])

    def unmet(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows whose guests the tenant does not have."""
        for number, row in self._database.execute("SELECT number, row FROM listed WHERE met = 0"):
            yield int(number), json.loads(row)

    def put_change(self, change: Change) -> None:
        """Take what is to be done."""
        told = json.dumps([change.row, change.said, change.lost])
        self._database.execute(
            "INSERT INTO changes VALUES (?, ?, ?, ?, ?)",
            (change.kind, change.number, change.email, told, bool(change.lost)),
        )

    def some_new(self, after: int, most: int) -> list[tuple[int, str]]:
        """Return some of those who are to be invited, by their numbers in the list."""
        found = self._database.execute(
            "SELECT number, email FROM changes WHERE kind = ? AND number > ? ORDER BY number LIMIT ?",
            (Kind.JOIN, after, most),
        )
        return [(int(number), str(email)) for number, email in found]

    def drop_new(self, numbers: Iterable[int]) -> None:
        """Forget that these are to be invited."""
        self._database.executemany(
            "DELETE FROM changes WHERE kind = ? AND number = ?", ((Kind.JOIN, number) for number in numbers)
        )

    def changes(self) -> Iterator[Change]:
        """Yield what is to be done: by the rows of the list, then who is not in it any more."""
        ordered = "SELECT kind, number, email, told FROM changes ORDER BY number = 0, number, email"
        for kind, number, email, told in self._database.execute(ordered):
            row, said, lost = json.loads(told)
            yield Change(Kind(kind), int(number), email, row, tuple(said), tuple(lost))

    def counts(self) -> Counter[Kind]:
        """Return how many there are of each kind."""
        found = self._database.execute("SELECT kind, count(*) FROM changes GROUP BY kind")
        return Counter({Kind(kind): int(count) for kind, count in found})

    def losers(self) -> int:
        """Return how many guests would be taken out of a group."""
        return int(self._database.execute("SELECT count(*) FROM changes WHERE loses").fetchone()[0])
