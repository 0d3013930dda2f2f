"""Everything that can be chosen when a sandbox starts, as one value, and the small notations it is
written in.

Notations: a range of seconds is `0.1` or `0.3-0.7`; a limit is `150/5s` (amount per seconds);
several limits are `invitations_per_tenant=150/5s,units_per_app=off`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

RetryAfterMode = Literal["present", "absent", "one"]

DEFAULT_ROLES = (
    *("User.Invite.All", "User.Read.All", "Organization.Read.All", "Policy.Read.All"),
    *("Policy.Read.B2BManagementPolicy", "CrossTenantInformation.ReadBasic.All"),
    *("User.ReadUpdate.All", "User.ReadWrite.All", "GroupMember.ReadWrite.All"),
    *("TeamMember.ReadWriteNonOwnerRole.All", "Mail.Send"),
    *("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory"),
    *("AuditLog.Read.All", "Application.Read.All"),
)
"""What the seed application may do: the least for each step of a guest's way, for each look
beforehand, and for the policy of a tenant's guests.
"""

LIMITS: dict[str, tuple[float, float] | None] = {
    "invitations_per_tenant": (150, 5),
    "writes_per_app_and_tenant": (3_000, 150),
    "writes_per_tenant": (18_000, 300),
    "writes_per_app": (35_000, 300),
    "units_per_app_and_tenant": (3_500, 10),
    "units_per_app": (150_000, 20),
    "sign_in_reads_per_app": (10, 60),
    "adds_per_team": (4, 60),
    "team_calls_per_app_and_tenant": (10, 1),
    "mailbox_requests": (10_000, 600),
    "mails_per_mailbox": None,
    "smtp_mails": None,
}
"""Graph's documented limits: name -> (amount, seconds); None: a limit only where it is asked for.
https://learn.microsoft.com/graph/throttling-limits
"""
OWNED = frozenset({"adds_per_team", "mailbox_requests", "mails_per_mailbox"})
"""Limits that each team or mailbox has for itself."""

_LIMIT = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)s?")


PARTS = ("users", "updates", "groups", "teams", "sponsors")
"""The parts of a tenant that learn of a new user, each after a lag of its own: reads and updates of
users, groups, teams, and sponsors.
"""


class OptionError(Exception):
    """A start option, fault spec or control request that makes no sense; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class SecondsRange:
    """A span of seconds to draw from, both ends included; equal ends mean a constant."""

    low_s: float = 0.0
    high_s: float = 0.0

    def at(self, share: float) -> float:
        """Return the seconds at `share` (0 to 1) of the span."""
        return self.low_s + (self.high_s - self.low_s) * share

    def __bool__(self) -> bool:
        return self.high_s > 0


@dataclass(frozen=True, slots=True)
class QuotaOptions:
    """How the sandbox throttles: which limits, how fast its clock runs, and how it says so.

    `limits` maps a limit's name to (amount, seconds), or to None for "not enforced"; names that are
    missing have the documented value. `background` maps a limit's name to the share of it (0 to 1)
    that somebody else uses up.
    """

    enabled: bool = True
    limits: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    time_scale: float = 1.0
    retry_after: RetryAfterMode = "present"
    accrue_while_throttled: bool = False
    fixed_windows: bool = False
    throttle_headers: bool = True
    background: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """One sandbox's choices. Times in seconds; `port` 0 means any free one.

    `lags` maps a name of `PARTS` to its own replication lag; the others have `replication`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 0
    names: tuple[str, ...] = ()
    state_dir: Path | None = None
    ready_file: Path | None = None
    log_file: Path | None = None
    parent_pid: int | None = None
    tenants: int = 1
    shared_app: bool = False
    unconsented: bool = False
    roles: tuple[str, ...] = DEFAULT_ROLES
    latency: SecondsRange = SecondsRange()
    smtp_port: int = 0
    starttls_port: int = 0
    replication: SecondsRange = SecondsRange(0.0, 2.0)
    lags: dict[str, SecondsRange] = field(default_factory=dict)
    token_life_s: float = 3_599.0
    clock_skew_s: float = 0.0
    keep_requests: int = 100_000
    forbid_characters: bool = False
    quota: QuotaOptions = field(default_factory=QuotaOptions)
    faults: str = ""


def parse_range(text: str) -> SecondsRange:
    """Read `0.1` or `0.3-0.7` as seconds. Raises `OptionError`."""
    low, dash, high = text.partition("-")
    try:
        span = SecondsRange(float(low), float(high) if dash else float(low))
    except ValueError:
        raise OptionError(f"'{text}' is not a number of seconds such as 0.1, nor a span such as 0.3-0.7.") from None
    if not 0 <= span.low_s <= span.high_s < 86_400:
        raise OptionError(f"'{text}' is not a span of seconds from small to large, below a day.")
    return span


def parse_replication(text: str) -> tuple[SecondsRange, dict[str, SecondsRange]]:
    """Read `0-2` as every part's lag, and `0-2,groups=5-8` as that but for groups. Raises
    `OptionError`.
    """
    everywhere = Options().replication
    lags = {}
    for position, piece in enumerate(text.split(",")):
        name, equals, value = piece.strip().partition("=")
        if not equals and position == 0:
            everywhere = parse_range(name)
        elif equals and name in PARTS:
            lags[name] = parse_range(value)
        else:
            raise OptionError(f"'{piece}' is no replication lag such as 0-2 or groups=5; parts are {', '.join(PARTS)}.")
    return everywhere, lags


def parse_limit(text: str) -> tuple[float, float] | None:
    """Read `150/5s` as (150, 5), and `off` as None. Raises `OptionError`."""
    if text == "off":
        return None
    match = _LIMIT.fullmatch(text.strip())
    if not match or float(match[1]) < 1 or float(match[2]) <= 0:
        raise OptionError(f"'{text}' is not a limit such as 150/5s, nor 'off'.")
    return float(match[1]), float(match[2])


def parse_limits(text: str) -> dict[str, tuple[float, float] | None]:
    """Read `name=150/5s,name=off` with the names of `LIMITS`. Raises `OptionError`."""
    return {name: parse_limit(value) for name, value in _named_values(text)}


def parse_background(text: str) -> dict[str, float]:
    """Read `0.5` (half of what a tenant's apps share) or `name=0.5,…`. Raises `OptionError`."""
    if "=" not in text:
        share = _share(text)
        return {"invitations_per_tenant": share, "writes_per_tenant": share} if share else {}
    return {name: _share(value) for name, value in _named_values(text)}


def check_host(host: str) -> str:
    """Return the address to listen on if `host` is loopback. Raises `OptionError`: secrets of a
    rehearsal do not belong on a network.
    """
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise OptionError(f"The sandbox listens on loopback only; '{host}' is not 127.0.0.1, ::1 or localhost.")
    return "127.0.0.1" if host == "localhost" else host  # a name may stand for two addresses, and two free ports


def _named_values(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or name not in LIMITS:
            raise OptionError(f"'{part}' names no limit; the limits are {', '.join(LIMITS)}.")
        pairs.append((name, value))
    return pairs


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise OptionError(f"'{text}' is not a share from 0 to below 1.")
    return share
