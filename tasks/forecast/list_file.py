"""A dry run writes the admin's own list with `would` and `why` beside it, by the writer of
`--join`, in its format or as a workbook.

Where there is no such list (addresses on the command line), or its format has no place for them (a
list with columns as JSON lines, JSON lines as a table), it is one of usher's fields. Either can be
fed back into `usher invite`, filtered or not.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from tasks.results.write import ENDINGS, Wanted, write_results, write_rows, write_through
from tasks.rows.fields import CONNECTION, FIELDS, WHY_OF, WOULD_OF, foreseen_columns
from tasks.rows.row import BadRow, ValidRow
from worker.channels import INVITE

if TYPE_CHECKING:
    from tasks.forecast.rows import ForeseenRow
    from tasks.lists.guest_list import GuestList

_TABLES: Final = ("csv", "xlsx")


class ForeseenRows:
    """Rows and verdicts on their way from the tenant to the list, in a temporary file: in memory a
    million of them take too much.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, array[int]] = {}  # of each connection's rows

    @property
    def connections(self) -> list[str]:
        """The connections that have rows; '' of a list that goes through one, and of nobody's."""
        return sorted(self._places)

    def add(self, row: ForeseenRow, connection: str = "") -> None:
        """Keep one row."""
        told = {"row": row.number, **row.row, "would": row.foreseen.would.told(INVITE), "why": row.foreseen.why}
        for stage, foreseen in row.stages.items():
            told |= {stage + WOULD_OF: foreseen.would.value, stage + WHY_OF: foreseen.why}
        self._keep(told, connection)

    def add_unasked(self, rows: Iterable[ValidRow | BadRow], connection: str, why: str) -> None:
        """Keep the rows of a connection that could not be asked: what becomes of them nobody
        knows.
        """
        for number, row in enumerate(rows, 1):
            fields = {"email": row.email} if isinstance(row, BadRow) else row.row
            self._keep({"row": number, **fields, "would": "", "why": f"Nobody could look: {why}"}, connection)

    def _keep(self, told: dict[str, Any], connection: str) -> None:
        self._places.setdefault(connection, array("Q")).append(self._file.tell())
        self._file.write(json.dumps(told).encode() + b"\n")

    def outcomes(self, connection: str = "") -> Iterator[dict[str, Any]]:
        """Yield the rows of a connection in their order, as often as they are asked for; several
        may be read at once.
        """
        for place in self._places.get(connection, ()):
            self._file.seek(place)
            told: dict[str, Any] = json.loads(self._file.readline())
            yield {"email": "", **told}


def write_foreseen(
    output: Path,
    rows: ForeseenRows,
    fields: Collection[str],
    guests: GuestList | None,
    reopen: Callable[[], GuestList] | None,
    stages: Collection[str] = (),
) -> None:
    """Write the list. `fields`: those that some row has; `guests`: the list, read, which `reopen`
    opens anew; `stages`: those that some row asks for. Raises `OutputError`.
    """
    columns = foreseen_columns(stages)
    named = ENDINGS.get(output.suffix.lower(), "")
    if (
        guests is not None
        and reopen is not None
        and named in (("", "jsonl") if guests.format == "jsonl" else ("", *_TABLES))
    ):
        wanted = Wanted(output=output, reopen=reopen, columns=columns)
        if any(rows.connections):
            write_through(wanted, {name: partial(rows.outcomes, name) for name in rows.connections})
        else:
            write_results(wanted, rows.outcomes)
        return
    own = [name for name in FIELDS if (name in fields or name == "email") and name != CONNECTION]
    ahead = (CONNECTION,) if any(rows.connections) else ()
    told = ({CONNECTION: name, **outcome} for name in rows.connections for outcome in rows.outcomes(name))
    write_rows(output, (*ahead, "row", *own, *columns), told)
