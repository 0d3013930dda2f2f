"""A plan says what is to be done to which of a tenant's guests, and why; it waits in a file without
a name, so that memory is flat in the size of the tenant.

What stands against one kind of deed (a ceiling, dates that cannot be read) stops that kind alone.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tasks.rows.row import ValidRow
from worker.operations.clean.judging import tell_seen
from worker.operations.clean.policy import Because, Deed, Finding, Stays
from worker.operations.row_fields import BECAUSE, INTERNAL, SEEN, THEN, WHY

if TYPE_CHECKING:
    from config.guest_rules import CleanSection
    from worker.graph.guests import Guest

_WRITTEN = 4 << 20  # bytes in memory before they go to the disk
_DATED = frozenset({Because.INACTIVE, Because.DISABLED})
"""Reasons that a date of signing in speaks against."""
CEILINGS = {Deed.REMIND: "most_reminded", Deed.DISABLE: "most_disabled", Deed.DELETE: "most_deleted"}
"""The setting that is a kind's ceiling."""


@dataclass(slots=True)
class CleanPlan:
    """What is due in one tenant. `dropped`: reasons that turned out to be none; `notes`: sentences
    about what could not be told; `withheld`: kinds that are beyond a ceiling, by its
    name; `is_short`: something that the policy says is not done, for want of knowing.
    """

    counts: Counter[tuple[Deed, Because]] = field(default_factory=Counter)
    left: Counter[Stays] = field(default_factory=Counter)
    guests: int = 0
    dropped: set[Because] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    withheld: dict[str, Deed] = field(default_factory=dict)
    is_short: bool = False
    _file: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # __exit__ closes it
        self._file = tempfile.SpooledTemporaryFile(_WRITTEN, "w+", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def begin(self) -> None:
        """Let go of what was put so far: the listing begins again."""
        self.counts.clear()
        self.left.clear()
        self.guests = 0
        self._file.seek(0)
        self._file.truncate()

    def put(self, guest: Guest, finding: Finding) -> None:
        """Take in what was found of a guest."""
        self.guests += 1
        if finding.deed is None:
            self.left[Stays(finding.code)] += 1
            return
        because = Because(finding.code)
        self.counts[finding.deed, because] += 1
        row = {
            "email": guest.email or guest.upn or guest.id,
            **({"display_name": guest.display_name} if guest.display_name else {}),
            "user_id": guest.id,
            THEN: finding.deed.value,
            BECAUSE: because.value,
            WHY: finding.why,
            **({SEEN: tell_seen(guest.signed_in_at)} if guest.signed_in_at and because in _DATED else {}),
            **({} if guest.invited else {INTERNAL: True}),
        }
        self._file.write(json.dumps(row) + "\n")

    def withhold(self, section: CleanSection) -> None:
        """Hold back the kinds that are beyond their ceiling, each by itself."""
        for deed, setting in CEILINGS.items():
            most = getattr(section, setting)
            if self.due(deed) > most:
                self.withheld[setting] = deed

    def due(self, deed: Deed) -> int:
        """Return to how many guests something is due, ceilings or not."""
        return sum(
            count for (one, because), count in self.counts.items() if one is deed and because not in self.dropped
        )

    @property
    def would(self) -> dict[str, int]:
        """How many guests each kind is due to."""
        return {deed.value: self.due(deed) for deed in Deed}

    @property
    def will(self) -> dict[Deed, int]:
        """What would be done: the kinds that nothing holds back, and that are due to somebody."""
        return {deed: count for deed in Deed if (count := self.due(deed)) and deed not in self.withheld.values()}

    def describe(self) -> dict[str, Any]:
        """Return the plan as programs read it."""
        because = Counter[str]()
        for (_, reason), count in self.counts.items():
            if reason not in self.dropped:
                because[reason.value] += count
        return {
            "would": self.would,
            "because": dict(because),
            "left": {stays.value: count for stays, count in sorted(self.left.items())},
            "guests": self.guests,
            "notes": list(self.notes),
        }

    def lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield what is due, numbered, ceilings or not."""
        self._file.seek(0)
        number = 0
        for line in self._file:
            row = json.loads(line)
            if row[BECAUSE] not in self.dropped:
                number += 1
                yield number, row

    def rows(self, *deeds: Deed) -> Iterator[ValidRow]:
        """Yield the rows of a job that does what nothing holds back, of these kinds alone."""
        wanted = {deed.value for deed in self.will if deed in deeds}
        for number, row in self.lines():
            if row[THEN] in wanted:
                yield ValidRow(number, None, row)
