"""A request holds what somebody asked for: rows, through which connection, within which bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.rows.row import BadRow, ValidRow
from worker.channels import INVITE
from worker.ledger.model import Options

if TYPE_CHECKING:
    from tasks.lists.guest_list import GuestList


@dataclass(slots=True)
class Request:
    """Rows to send: of a list, a command line, a message, or a job that is tried again."""

    connection: str
    rows: Iterable[ValidRow | BadRow]
    name: str  # of the list, as people know it
    operation: str = INVITE
    options: Options = field(default_factory=Options)
    info: dict[str, Any] = field(default_factory=dict)
    pilot: int = 0
    most: int | None = None  # rows that it is done to at most; beyond that, to none
    strict: bool = False
    in_doubt_before: int = 0
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)  # once, for all rows
    guests: GuestList | None = None  # the file that the rows come from
    reopen: Callable[[], GuestList] | None = None  # opens it anew, as it was read
    accept_bad: bool = False
    fields_seen: set[str] = field(default_factory=set)

    def describe_reading(self, *, with_sample: bool) -> list[tuple[str, str]]:
        """Return how the list was read, in (heading, words) pairs; [] where there is no list.

        Sample rows name people: they are for a person's eyes, not for a scheduler's log.
        """
        return self.guests.describe(with_sample=with_sample) if self.guests is not None else []
