"""An operation asks a tenant before it sends: what it may ask, and that nobody can be asked now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from worker.graph.batch import GraphAnswer, GraphRequest
    from worker.ledger.guests.disabled import Disabled
    from worker.ledger.guests.moving import Moving
    from worker.ledger.guests.reminders import Reminders
    from worker.ledger.model import KnownRow
    from worker.ledger.quota import Bucket
    from worker.ledger.why_waiting import Stop
    from worker.operations.clean.policy import Spared


class CannotAsk(Exception):
    """Nobody can ask the tenant now; `stop` says why, and until when."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.why.value)
        self.stop = stop


class Ask(Protocol):
    """Whoever asks a tenant takes care of token, quota and back-off."""

    job: str
    """The root job that it is asked for: what was read may be kept in memory for the rest of it."""

    @property
    def reminders(self) -> Reminders:
        """Who was reminded, and when."""
        ...

    @property
    def disabled(self) -> Disabled:
        """Whom usher has disabled, and when."""
        ...

    @property
    def moving(self) -> Moving:
        """Who has a new address and was not reset yet."""
        ...

    @property
    def now(self) -> datetime:
        """The present, on Redis's clock."""
        ...

    @property
    def sign_in_quota(self) -> Sequence[Bucket]:
        """What requests for dates of signing in take from."""
        ...

    async def find_invited(self, emails: Mapping[int, str]) -> Mapping[int, KnownRow]:
        """Return when some guests were invited lately, by whatever job, as the index of guests
        remembers. Raises `SealError`.
        """
        ...

    async def find_spared(self) -> tuple[Spared, str]:
        """Return whom the connection's settings spare now, and a sentence where nobody can tell.
        Raises `CannotAsk`.
        """
        ...

    async def get(
        self, requests: Sequence[GraphRequest], buckets: Sequence[Bucket] | None = None
    ) -> Mapping[str, GraphAnswer]:
        """Return Graph's answers to some reads, by the requests' ids. `buckets`: what they take
        from, where that is not what other reads do. Raises `CannotAsk` where one of them got none.
        """
        ...
