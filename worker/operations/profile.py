"""The operation `profile` writes to a guest what a list says of them: `PATCH /users/{id}`, with
those properties only that differ. Pure.

Nothing is ever cleared: a cell that is empty says nothing. https://learn.microsoft.com/graph/api/user-update
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from worker.graph.marks import EXTENSIONS, SOURCE, find_mark
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.operation import THEN, Ask, Asked, Call
from worker.operations.profile_rules import PROFILE
from worker.operations.step import Step

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.ledger.why_waiting import Stop

PROPERTIES: Mapping[str, str] = {
    "first_name": "givenName",
    "last_name": "surname",
    "company": "companyName",
    "department": "department",
    "job_title": "jobTitle",
    "usage_location": "usageLocation",
    "phone": "mobilePhone",
}
"""Column and property."""
_NAMES = frozenset({"first_name", "last_name"})
_BESIDE = ("sponsors", "groups", "teams")
EXPIRES = "expires"


class Profile(Step):
    """The operation fills in a guest's profile."""

    name = "profile"
    rules = PROFILE
    words: Mapping[RowState, str] = {RowState.DONE: "changed", RowState.ALREADY: "so already"}
    compares_purely = True
    columns = frozenset({*PROPERTIES, EXPIRES, SOURCE, "display_name"})
    reads = (*PROPERTIES.values(), "displayName", EXTENSIONS)

    def targets(self, row: Row, options: Options) -> tuple[str, ...]:
        """A row that says more of its guest than name and address asks for it; names do beside a
        group, team or sponsor. Alone they make the display name of an invitation, as ever, and ask
        for no further right. The mark of a list is written here, unless it goes with the account.
        """
        if row.get(SOURCE) and not row.get(THEN):
            return ("",)
        asking = [*(PROPERTIES.keys() - _NAMES), EXPIRES]
        if any(row.get(column) for column in _BESIDE):
            asking += _NAMES
        return ("",) if any(row.get(column) for column in asking) else ()

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows whose guests are as the row says: before usher's doing, or by a try whose
        answer was lost.
        """
        return {
            asked.index: asked.ended(RowState.DONE if asked.tried else RowState.ALREADY)
            for asked in rows
            if not find_changes(asked, connection)
        }

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return a PATCH for each row."""
        return [asked.call("PATCH", f"/users/{asked.user_id}", find_changes(asked, connection)) for asked in rows]


def find_changes(asked: Asked, connection: Connection) -> dict[str, Any]:
    """Return what is to be written: of a guest who was just invited all that the row says, else
    what the tenant says otherwise, or not at all.
    """
    row = asked.row
    wanted = {name: row[column] for column, name in PROPERTIES.items() if row.get(column)}
    is_new = bool(row.get("new"))
    if row.get("display_name") and not is_new:  # an invitation has written it
        wanted["displayName"] = row["display_name"]
    there = {} if is_new or asked.user is None else asked.user.more
    body: dict[str, Any] = {name: value for name, value in wanted.items() if there.get(name) != value}
    extensions = there.get(EXTENSIONS)
    attribute = connection.clean.expiry_attribute
    kept = extensions.get(attribute) if isinstance(extensions, dict) else None
    written = find_mark(row, extensions, connection.sync.source_attribute)
    if row.get(EXPIRES) and row[EXPIRES] != kept:
        written[attribute] = row[EXPIRES]
    return body | {EXTENSIONS: written} if written else body
