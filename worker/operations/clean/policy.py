"""A policy says of each guest of a tenant what is to be done, and why; in doubt a guest stays.

Pure. Pending counts from the invitation, inactive from the latest sign of the guest, attempts to
sign in that failed included. Nobody is touched who is spared, is a member, may take a directory
role, or, unless the policy says so, came another way than by invitation. Who was disabled is
deleted only where usher itself disabled them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from config.values import fold_domain
from worker.addresses import fold_address
from worker.graph.guests import GUEST, Guest, GuestState
from worker.lengths import tell_length

if TYPE_CHECKING:
    from config.guest_rules import CleanSection


_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")
"""No other form that a date may have: a number of eight digits may be a cost centre."""


class Deed(StrEnum):
    """What a policy has done to a guest: the operation's name."""

    REMIND = "remind"
    DISABLE = "disable"
    DELETE = "delete"


class Because(StrEnum):
    """Why something is done to a guest."""

    PENDING = "pending"
    INACTIVE = "inactive"
    EXPIRED = "expired"
    DISABLED = "disabled"


class Stays(StrEnum):
    """Why nothing is done to a guest."""

    MEMBER = "member"
    NOT_INVITED = "not_invited"
    ROLE_HOLDER = "role_holder"
    SPARED = "spared"
    BLOCKED = "blocked"  # disabled, and not to be deleted
    REMINDED = "reminded"
    NO_ADDRESS = "no_address"
    NOT_DUE = "not_due"
    OTHERWISE_DUE = "otherwise_due"  # to something that is not done this time


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done after how long, as a connection says, and how reminders are spaced."""

    clean: CleanSection
    remind_every_s: float
    remind_times: int

    @property
    def deeds(self) -> frozenset[Deed]:
        """What it has done at all."""
        clean = self.clean
        disables = (clean.disable_pending_after_s, clean.disable_inactive_after_s, clean.disable_expired or None)
        wanted = (
            (Deed.REMIND, clean.remind_after_s is not None),
            (Deed.DISABLE, any(one is not None for one in disables)),
            (Deed.DELETE, clean.delete_disabled_after_s is not None),
        )
        return frozenset(deed for deed, is_wanted in wanted if is_wanted)

    @property
    def needs_dates(self) -> bool:
        """Whether dates of signing in are to be read."""
        return self.clean.disable_inactive_after_s is not None


@dataclass(frozen=True, slots=True)
class Memory:
    """What usher remembers of a guest. `reminded_at`: the last time; `disabled_at`, `invited_at`:
    by usher.
    """

    reminded_times: int = 0
    reminded_at: datetime | None = None
    disabled_at: datetime | None = None
    invited_at: datetime | None = None


NOTHING = Memory()


@dataclass(frozen=True, slots=True)
class Spared:
    """Whom nobody touches: object ids in lower case, addresses folded."""

    role_holders: frozenset[str] = field(default=frozenset(), repr=False)
    ids: frozenset[str] = field(default=frozenset(), repr=False)
    addresses: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be done to a guest, None for nothing, and why, in words that complete a line."""

    deed: Deed | None
    code: Because | Stays
    why: str


def judge(guest: Guest, memory: Memory, policy: Policy, spared: Spared, now: datetime) -> Finding:
    """Say what is to be done to a guest. That dates of signing in could not be read is for the
    caller to know: it asks for no deed then that needs them.
    """
    reason = _find_shelter(guest, policy, spared)
    if reason is not None:
        return reason
    if not guest.enabled:
        return _judge_disabled(guest, memory, policy, now)
    expired = _judge_expired(guest, policy, now)
    if expired is not None:
        return expired
    if guest.state is GuestState.PENDING:
        return _judge_pending(guest, memory, policy, now)
    return _judge_active(guest, policy, now)


def _find_shelter(guest: Guest, policy: Policy, spared: Spared) -> Finding | None:
    """Say why a guest is never touched, whatever else is true of them."""
    if guest.user_type.casefold() != GUEST.casefold():
        return _stay(Stays.MEMBER, "a member of the tenant")
    if guest.id.lower() in spared.role_holders:
        return _stay(Stays.ROLE_HOLDER, "holds, or may take, a directory role")
    if not guest.invited and not policy.clean.include_internal:
        return _stay(Stays.NOT_INVITED, "did not come by an invitation")
    addresses = {fold_address(one) for one in (guest.email, *guest.others) if one}
    if addresses & spared.addresses:
        return _stay(Stays.SPARED, "spared by address")
    if any(
        _is_of(address.rpartition("@")[2], domain) for address in addresses for domain in policy.clean.spare_domains
    ):
        return _stay(Stays.SPARED, "spared by domain")
    if guest.id.lower() in spared.ids:
        return _stay(Stays.SPARED, "spared by group")
    return None


def _judge_disabled(guest: Guest, memory: Memory, policy: Policy, now: datetime) -> Finding:
    """Whoever usher disabled is deleted after a time without an attempt to sign in; whoever was
    disabled by a person never is.
    """
    disabled_at, age_s = memory.disabled_at, policy.clean.delete_disabled_after_s
    if disabled_at is None:
        return _stay(Stays.BLOCKED, "disabled, and not by usher")
    last = max(disabled_at, guest.signed_in_at or disabled_at)
    if age_s is None or not _is_past(last, age_s, now):
        tried = f", tried to sign in on {last:%Y-%m-%d}" if last > disabled_at else ""
        return _stay(Stays.BLOCKED, f"disabled by usher on {disabled_at:%Y-%m-%d}{tried}")
    return Finding(Deed.DELETE, Because.DISABLED, f"disabled by usher on {_day(disabled_at, now)}")


def _judge_expired(guest: Guest, policy: Policy, now: datetime) -> Finding | None:
    """The whole of the last day counts, in UTC. What is no date says nothing."""
    ends = read_day(guest.attributes.get(policy.clean.expiry_attribute, ""))
    if not policy.clean.disable_expired or ends is None or ends >= now.astimezone(UTC).date():
        return None
    return Finding(Deed.DISABLE, Because.EXPIRED, f"access ended on {ends.isoformat()}")


def _judge_pending(guest: Guest, memory: Memory, policy: Policy, now: datetime) -> Finding:
    """Disable whoever is past both ages, and remind nobody then. The last invitation counts: who
    has to accept anew, or was mailed again on purpose, was not invited years ago.
    """
    invited = max((at for at in (guest.created_at, guest.state_since, memory.invited_at) if at), default=None)
    if invited is None:
        return _stay(Stays.NOT_DUE, "nobody can tell when this guest was invited")
    why = f"invited on {_day(invited, now)}, and has not accepted"
    if _is_past(invited, policy.clean.disable_pending_after_s, now):
        return Finding(Deed.DISABLE, Because.PENDING, why)
    if not _is_past(invited, policy.clean.remind_after_s, now):
        return _stay(Stays.NOT_DUE, why)
    if not guest.email:
        return _stay(Stays.NO_ADDRESS, "has no address to be reminded at")
    last = memory.reminded_at
    if last is not None and (guest.created_at is None or last >= guest.created_at):  # else: of another guest
        if memory.reminded_times >= policy.remind_times:
            return _stay(Stays.REMINDED, f"was reminded {memory.reminded_times} times")
        if not _is_past(last, policy.remind_every_s, now):
            return _stay(Stays.REMINDED, f"was reminded on {_day(last, now)}")
    return Finding(Deed.REMIND, Because.PENDING, why)


def _judge_active(guest: Guest, policy: Policy, now: datetime) -> Finding:
    """Whoever is of no known state counts from creation at least, else stays."""
    active = guest.active_at
    if active is None or (guest.state is GuestState.UNKNOWN and guest.created_at is None):
        return _stay(Stays.NOT_DUE, "nobody can tell when this guest was active")
    if guest.signed_in_at == active:
        why = f"last attempt to sign in on {_day(active, now)}"
    elif guest.state is GuestState.ACCEPTED and guest.state_since == active:
        why = f"accepted on {_day(active, now)}, and not seen since"
    else:
        why = f"in the tenant since {_day(active, now)}, and not seen since"
    if not _is_past(active, policy.clean.disable_inactive_after_s, now):
        return _stay(Stays.NOT_DUE, why)
    return Finding(Deed.DISABLE, Because.INACTIVE, why)


def read_day(text: str) -> date | None:
    """Return the day that a tenant keeps for a guest, with or without a time behind it; None for
    what is no date.
    """
    found = _DAY.fullmatch(text.strip())
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def explain_left(then: str, guest: Guest, finding: Finding) -> str:
    """Say why a guest is left alone for whom something was planned, a sentence."""
    if then == Deed.DELETE and guest.enabled:
        return "Left alone: somebody has enabled this guest since the list was made."
    if then != Deed.DELETE and not guest.enabled:
        return "Left alone: this guest has been disabled since the list was made."
    if then == Deed.REMIND and guest.state is GuestState.ACCEPTED:
        return "Left alone: this guest has accepted since the list was made."
    if finding.deed is not None:
        return "Left alone: what the list was made by is not so any more, and the next run decides anew."
    return f"Left alone: {finding.why}."


def _stay(code: Stays, why: str) -> Finding:
    return Finding(None, code, why)


def _is_of(own: str, domain: str) -> bool:
    own = fold_domain(own)
    return own == domain or own.endswith(f".{domain}")


def _is_past(at: datetime, age_s: float | None, now: datetime) -> bool:
    return age_s is not None and now - at >= timedelta(seconds=age_s)


def _day(at: datetime, now: datetime) -> str:
    """Return a day, and how long ago it was."""
    return f"{at.astimezone(UTC):%Y-%m-%d} ({tell_length((now - at).total_seconds())} ago)"
