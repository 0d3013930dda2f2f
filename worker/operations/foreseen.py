"""A forecast says what was found out about a row's guest, and what would become of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.graph.users import DirectoryUser
    from worker.ledger.model import KnownRow


class Would(StrEnum):
    """What would become of a row. People read of the first by the operation's name: `invite`."""

    DO = "do"
    SKIP = "skip"
    REFUSE = "refuse"

    def told(self, operation: str) -> str:
        """Return the word for a verdict, of an operation by its name."""
        return operation if self is Would.DO else self.value


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A forecast's verdict on one row. `by_graph`: Graph would say so, after it was asked."""

    would: Would
    code: str = ""
    why: str = ""
    by_graph: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A look-up's findings about one row's guest."""

    known: KnownRow | None = None  # done lately, by any job, and not deleted since as far as anybody can tell
    user: DirectoryUser | None = None
    looked_up: bool = True  # False: nobody could tell whether the guest is there
    partner_blocked: bool = False  # by cross-tenant access settings
