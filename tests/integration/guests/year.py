"""People as a year brings them to a tenant, and whatever may be done to each of them, on which day.

What may be done is told here anew from the rules in words, by what the people did, and not by what
usher sees of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DAYS = 365
REMIND_EVERY = 7
MOST_MAILS = 3  # the invitation and two reminders
PENDING = 30
INACTIVE = 90
DELETE = 30
RUNS_EVERY = 30  # of the clean-up


@dataclass
class Person:
    """One person. Days count from the first; None: never. `until`: signs in weekly up to then, and
    with `fails` only tries to. `ends`: the list's `expires`.
    """

    email: str
    joins: int | None = 0
    leaves: int | None = None
    again: int | None = None
    accepts: int | None = 1
    until: int = DAYS
    fails: bool = False
    ends: int | None = None
    role: int | None = None
    banned: int | None = None
    rescued: int | None = None
    spared: bool = False
    touched: bool = True  # False: a member, or nobody's guest by invitation
    fate: str = "there"  # at the end of the year: there, disabled, gone; "" for any
    # what happened
    object_id: str = ""
    invited_on: int = 0
    accepted_on: int | None = None
    tried_on: int | None = None
    disabled_on: int | None = None  # by usher
    is_enabled: bool = True
    had: list[str] = field(default_factory=list)

    def is_listed(self, day: int) -> bool:
        """Whether the list names them."""
        if self.joins is None or day < self.joins:
            return False
        is_back = self.again is not None and day >= self.again
        return self.leaves is None or day < self.leaves or is_back

    def deeds(self, day: int) -> list[dict[str, Any]]:
        """What they do on a day, and what people do to them, as the sandbox is told."""
        done: list[dict[str, Any]] = []
        own = {"email": self.email}
        if self.accepts is not None and self.accepted_on is None and day - self.invited_on == self.accepts:
            done.append({**own, "action": "accept"})
            self.accepted_on = day
        if self.accepted_on is not None and day <= self.until and (day - self.accepted_on) % 7 == 0:
            fails = self.fails or not self.is_enabled
            done.append({**own, "action": "sign_in", "how": "failed" if fails else ""})
            self.tried_on = day
        if day == self.role:
            done.append({**own, "action": "role", "role": "assigned"})
        if day == self.banned:
            done.append({**own, "action": "disable"})
            self.is_enabled = False
        if self.disabled_on is not None and self.rescued is not None and day == self.disabled_on + self.rescued:
            done.append({**own, "action": "enable"})
            self.is_enabled, self.disabled_on, self.until = True, None, DAYS
        return done

    def seen_on(self) -> int:
        """When they were last seen to do anything."""
        return max(day for day in (self.invited_on, self.accepted_on, self.tried_on) if day is not None)

    def may_be_disabled(self, day: int) -> bool:
        """Whether there is a reason to disable them, and none against it."""
        if not self.touched or (self.role is not None and day >= self.role):
            return False
        if self.leaves is not None and not self.is_listed(day):
            return True
        if self.spared:
            return False
        is_old = self.accepted_on is None and day - self.invited_on >= PENDING
        is_stale = self.accepted_on is not None and day - self.seen_on() >= INACTIVE
        return is_old or is_stale or (self.ends is not None and day > self.ends)

    def may_be_enabled(self, day: int) -> bool:
        """Whether the list brings them back."""
        return self.again is not None and day >= self.again and self.disabled_on is not None

    def may_be_deleted(self, day: int) -> bool:
        """Whether usher disabled them long enough ago, and they have not tried to sign in since."""
        if self.disabled_on is None or self.spared or not self.touched:
            return False
        return day - max(self.disabled_on, self.tried_on or 0) >= DELETE


def cast(offset: int) -> list[Person]:
    """Return one person of each kind, who come so many days after the first."""

    def person(name: str, **told: Any) -> Person:
        shifted = {
            key: value if value is None else value + offset
            for key, value in told.items()
            if key in ("joins", "leaves", "again", "until", "ends", "role", "banned")
        }
        email = f"{name}{offset}@{told.pop('domain', 'partner.example')}"
        return Person(email, **{"joins": offset, **told, **shifted})

    return [
        person("steady"),
        person("late", accepts=20),
        person("never", accepts=None, leaves=62, fate="gone"),
        person("insists", accepts=None, fate=""),  # the list names them to the end
        person("leaver", leaves=100, until=100, fate="gone"),
        person("returner", leaves=100, again=110),
        person("stale", until=60, leaves=155, fate="gone"),
        person("tries", fails=True),
        person("ends", ends=120, until=130, leaves=125, fate="gone"),
        person("knocks", leaves=100, fate="disabled"),  # tries to sign in to the end
        person("banned", banned=50, until=49, fate="disabled"),
        person("holder", role=40, until=60, leaves=200),
        person("spared", accepts=None, spared=True, domain="spared.example"),
        person("rescued", until=60, rescued=10),
        person("waits", joins=None, accepts=None, fate="gone"),
        person("partner", joins=None),
        person("member", joins=None, touched=False, until=0),
        person("internal", joins=None, touched=False, until=0),
    ]
