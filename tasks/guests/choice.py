"""A choice says which of a tenant's guests are meant: by state, age, domain, sponsor. Pure.

Where nobody can tell, a guest is not meant: what is chosen here may be what somebody cleans up
next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from config.values import fold_domain
from worker.graph.guests import Also, Guest, GuestState
from worker.operations.clean.policy import read_day


@dataclass(frozen=True, slots=True)
class Choice:
    """Which guests; None and '' leave a question open. `domain`: folded, its subdomains too.
    `inactive_since`: whoever was seen since then is not meant. `ends_by`: whose access ends on that
    day or before, as `expiry_attribute` tells.
    """

    state: GuestState | None = None
    invited_before: datetime | None = None
    inactive_since: datetime | None = None
    domain: str = ""
    without_sponsor: bool = False
    enabled: bool | None = None
    user_type: str = ""
    ends_by: date | None = None
    expiry_attribute: str = ""

    @property
    def needs(self) -> frozenset[Also]:
        """What has to be read of each guest for it."""
        needed = (
            (Also.SPONSORS, self.without_sponsor),
            (Also.SIGN_INS, self.inactive_since is not None),
            (Also.ATTRIBUTES, self.ends_by is not None),
        )
        return frozenset(also for also, is_needed in needed if is_needed)

    def takes(self, guest: Guest) -> bool:
        """Whether a guest is meant."""
        return (
            self.state in (None, guest.state)
            and self.enabled in (None, guest.enabled)
            and self.user_type in ("", guest.user_type)
            and not (self.without_sponsor and guest.sponsors != ())
            and _is_before(guest.created_at, self.invited_before)
            and _is_before(guest.active_at, self.inactive_since)
            and self._is_of_domain(guest.email)
            and self._ends(guest)
        )

    def _ends(self, guest: Guest) -> bool:
        if self.ends_by is None:
            return True
        day = read_day(guest.attributes.get(self.expiry_attribute, ""))
        return day is not None and day <= self.ends_by

    def _is_of_domain(self, email: str) -> bool:
        if not self.domain:
            return True
        own = fold_domain(email.rpartition("@")[2])
        return own == self.domain or own.endswith(f".{self.domain}")


def _is_before(at: datetime | None, limit: datetime | None) -> bool:
    return limit is None or (at is not None and at < limit)
