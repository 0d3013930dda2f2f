"""What was last seen of a tenant is kept for the metrics: how its guests stood, which secret ends
first and who was told, what the policy would do.

Whoever asks Graph anyway leaves a note here; whoever scrapes metrics reads the notes and asks
nobody. A note that nobody renews ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from worker.graph.guests import Guest, GuestState
from worker.ledger.scripts import InLedger
from worker.store.client import read_time_ms

KEPT_S = 400 * 86_400
"""A tenant that nobody has looked at for so long is told of no more."""


@dataclass(slots=True)
class GuestCounts:
    """How many guests there are, by state; the disabled ones stand among the others too."""

    guests: int = 0
    accepted: int = 0
    pending: int = 0
    unknown: int = 0
    disabled: int = 0

    def add(self, guest: Guest) -> None:
        """Count one guest."""
        self.guests += 1
        self.accepted += guest.state is GuestState.ACCEPTED
        self.pending += guest.state is GuestState.PENDING
        self.unknown += guest.state is GuestState.UNKNOWN
        self.disabled += not guest.enabled

    @property
    def accepted_percent(self) -> float | None:
        """Of those whose state is known, how many have accepted; None where there are none."""
        known = self.accepted + self.pending
        return round(100 * self.accepted / known, 1) if known else None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What stands in the notes of one connection; None where nobody has looked. Times are in
    seconds since the epoch; `due`: by what the policy would do, how many guests.
    """

    guests: GuestCounts | None = None
    guests_at_s: float = 0.0
    secret_ends_s: float | None = None
    due: Mapping[str, int] | None = None
    due_at_s: float = 0.0


class LastSeen(InLedger):
    """The notes of all connections."""

    async def note_guests(self, connection: str, counts: GuestCounts) -> None:
        """Note how all guests of a tenant stand."""
        await self._note(connection, "guests", asdict(counts))

    async def note_secrets(self, connection: str, first_ends_at: datetime | None) -> None:
        """Note when the first secret or certificate of any application of a tenant ends."""
        told = {} if first_ends_at is None else {"first": round(first_ends_at.timestamp() * 1000)}
        await self._note(connection, "secrets", told)

    async def note_due(self, connection: str, due: Mapping[str, int]) -> None:
        """Note what the policy would do now, by the operation's name: to how many guests."""
        await self._note(connection, "due", due)

    async def note_told(self, connection: str, names: Iterable[str]) -> None:
        """Note what somebody was told of secrets that end; what was told before is forgotten."""
        await self._note(connection, "told", dict.fromkeys(names, 1))

    async def told(self, connection: str) -> frozenset[str]:
        """Return what somebody was told of secrets that end."""
        found = self._client.hscan_iter(self._keys.last_seen(connection), match="told:*")
        return frozenset([name.decode().partition(":")[2] async for name, _ in found])

    async def _note(self, connection: str, about: str, told: Mapping[str, int]) -> None:
        name, at = self._keys.last_seen(connection), await read_time_ms(self._client)
        former = [field async for field, _ in self._client.hscan_iter(name, match=f"{about}:*")]
        async with self._client.pipeline(transaction=True) as pipe:
            if former:
                pipe.hdel(name, *former)
            pipe.hset(
                name, mapping={f"{about}:{field}": number for field, number in told.items()} | {f"{about}:at": at}
            )
            pipe.expire(name, KEPT_S)
            await pipe.execute()


def read_sighting(noted: Mapping[bytes, bytes]) -> Sighting:
    """Read the notes of one connection. Pure."""
    parts: dict[str, dict[str, int]] = {}
    for name, value in noted.items():
        about, _, field = name.decode().partition(":")
        parts.setdefault(about, {})[field] = int(value)
    guests, secrets, due = (parts.get(about, {}) for about in ("guests", "secrets", "due"))
    first = secrets.get("first")
    return Sighting(
        guests=GuestCounts(**{field.name: guests.get(field.name, 0) for field in fields(GuestCounts)})
        if guests
        else None,
        guests_at_s=guests.get("at", 0) / 1000,
        secret_ends_s=None if first is None else first / 1000,
        due={name: number for name, number in due.items() if name != "at"} if due else None,
        due_at_s=due.get("at", 0) / 1000,
    )
