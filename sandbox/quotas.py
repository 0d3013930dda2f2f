"""Graph's nested token buckets: a request passes only if every bucket it falls into has room for
it.

The documented limits and who shares them are `options.LIMITS`; the sandbox keeps one `Bucket` per
limit and key (tenant, application, or both). A bucket's level may fall below zero only with
`accrue_while_throttled`, where refused requests count too, down to 0.8 of the amount: that is where
the documented 1.8 of `x-ms-throttle-limit-percentage` ends.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from sandbox.clock import Clock
from sandbox.options import LIMITS, OWNED, QuotaOptions

_SCOPES = {
    "invitations_per_tenant": ("Tenant/Write", "WriteLimitExceeded"),
    "writes_per_app_and_tenant": ("Tenant_Application/Write", "WriteLimitExceeded"),
    "writes_per_tenant": ("Tenant/Write", "WriteLimitExceeded"),
    "writes_per_app": ("Application/Write", "WriteLimitExceeded"),
    "units_per_app_and_tenant": ("Tenant_Application/ReadWrite", "ResourceUnitLimitExceeded"),
    "units_per_app": ("Application/ReadWrite", "ResourceUnitLimitExceeded"),
}
"""Limit -> start of `x-ms-throttle-scope` and `x-ms-throttle-information`.
https://learn.microsoft.com/graph/throttling-limits
"""
_OFTEN = ("TooManyRequests", "Too many requests. Try again later.")
_DIRECTORY = ("Request_ThrottledTemporarily", "Your request is throttled temporarily. Please try after some time.")
_MAILBOX = ("ApplicationThrottled", "Application is over its MailboxConcurrency limit.")
THROTTLED = {
    **dict.fromkeys(_SCOPES, _DIRECTORY),
    "invitations_per_tenant": _OFTEN,
    "sign_in_reads_per_app": _OFTEN,
    "adds_per_team": _OFTEN,
    "team_calls_per_app_and_tenant": _OFTEN,
    "mails_per_mailbox": _MAILBOX,
    "mailbox_requests": _MAILBOX,
}
"""Limit -> code and message of its 429."""
_WARN_SHARE = 0.8
_DEBT_SHARE = 0.8


class Bucket:
    """One token bucket, or with `fixed` a counter that starts anew every `per_s` quota seconds."""

    __slots__ = ("amount", "background", "fixed", "level", "name", "per_s", "rate", "updated_s")

    def __init__(self, name: str, amount: float, per_s: float, *, background: float, fixed: bool) -> None:
        self.name = name
        self.fixed = fixed
        self.background = background
        self.updated_s = 0.0
        self.resize(amount, per_s)
        self.level = self._full()

    def resize(self, amount: float, per_s: float) -> None:
        """Change the limit; what is used stays used."""
        self.amount, self.per_s = amount, per_s
        self.rate = amount / per_s * (1 - self.background)

    def refill(self, now_s: float) -> None:
        """Bring the level up to `now_s` on the quota clock."""
        if self.fixed:
            if now_s // self.per_s != self.updated_s // self.per_s:
                self.level = self._full()
        elif now_s > self.updated_s:
            self.level = min(self.amount, self.level + (now_s - self.updated_s) * self.rate)
        self.updated_s = now_s

    def wait_s(self, cost: float, now_s: float) -> float:
        """Return the seconds of quota time until `cost` would pass."""
        if self.fixed:
            return self.per_s - now_s % self.per_s
        return max(0.0, (cost - self.level) / self.rate)

    def _full(self) -> float:
        return self.amount * (1 - self.background) if self.fixed else self.amount


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was throttled: the first bucket without room, and real seconds until it has."""

    bucket: Bucket
    retry_after: str | None
    scope: str
    information: str


class Meter:
    """One application's buckets in one tenant; refilled once per HTTP request, not per item."""

    __slots__ = ("_invite", "_quotas", "_read", "_write", "app_id", "tenant_id")

    def __init__(self, quotas: Quotas, tenant_id: str, app_id: str) -> None:
        self._quotas = quotas
        self.tenant_id = tenant_id
        self.app_id = app_id
        units = quotas.buckets(("units_per_app_and_tenant", "units_per_app"), tenant_id, app_id)
        writes = quotas.buckets(("writes_per_app_and_tenant", "writes_per_tenant", "writes_per_app"), tenant_id, app_id)
        self._read = units
        self._write = writes + units
        self._invite = quotas.buckets(("invitations_per_tenant",), tenant_id, app_id) + self._write

    def refill(self, now_s: float) -> None:
        """Bring every bucket up to `now_s`; called once before the requests of one envelope."""
        for bucket in self._invite:
            bucket.refill(now_s)

    def take_invitation(self) -> Refusal | None:
        """Take what one POST /invitations costs: 1 of every bucket. Returns None if it passed."""
        for bucket in self._invite:
            if bucket.level < 1:
                return self._refuse(self._invite, bucket, 1)
        for bucket in self._invite:
            bucket.level -= 1
        return None

    def take_write(self, units: int = 1) -> Refusal | None:
        """Take what any other write costs: 1 of the write buckets, and of those of resource units
        as many as it has.
        """
        return self._take(self._write, units)

    def take_own(self, limits: tuple[str, ...], name: str = "") -> Refusal | None:
        """Take 1 of each of these limits, for one team, one mailbox, one kind of read."""
        buckets = self._quotas.buckets(limits, self.tenant_id, self.app_id, name)
        self._quotas.refill(buckets)
        return self._take(buckets, 1)

    def take_read(self, units: int) -> Refusal | None:
        """Take a read's resource units (GET users costs 2, 1 with `$select`; most others 1)."""
        return self._take(self._read, units)

    def warning(self) -> str | None:
        """Return `x-ms-throttle-limit-percentage` if any bucket is used above 0.8, else None."""
        if not self._quotas.options.throttle_headers:
            return None
        share = 0.0
        for bucket in self._invite:
            used = 1 - bucket.level / bucket.amount
            if used > share:
                share = used
        return f"{min(share, 1.8):.2f}" if share > _WARN_SHARE else None

    def _take(self, buckets: tuple[Bucket, ...], cost: int) -> Refusal | None:
        for bucket in buckets:
            if bucket.level < cost:
                return self._refuse(buckets, bucket, cost)
        for bucket in buckets:
            bucket.level -= cost
        return None

    def _refuse(self, buckets: tuple[Bucket, ...], full: Bucket, cost: int) -> Refusal:
        if self._quotas.options.accrue_while_throttled:
            for bucket in buckets:
                bucket.level = max(bucket.level - cost, -_DEBT_SHARE * bucket.amount)
        self._quotas.refused[full.name] += 1
        scope, information = _SCOPES.get(full.name, ("", ""))
        return Refusal(
            bucket=full,
            retry_after=self._quotas.retry_after(full, cost),
            scope=f"{scope}/{self.app_id}/{self.tenant_id}" if scope else "",
            information=information,
        )


class Quotas:
    """All buckets of a sandbox. `refused` counts refusals by limit."""

    def __init__(self, options: QuotaOptions, clock: Clock) -> None:
        self.options = options
        self.refused: Counter[str] = Counter()
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._meters: dict[tuple[str, str], Meter] = {}
        self._sizes: dict[str, int] = {}

    def meter(self, tenant_id: str, app_id: str) -> Meter:
        """Return the meter of an application in a tenant, refilled to now."""
        meter = self._meters.get((tenant_id, app_id))
        if meter is None:
            meter = self._meters[tenant_id, app_id] = Meter(self, tenant_id, app_id)
        meter.refill(self._clock.quota_s())
        return meter

    def buckets(self, names: tuple[str, ...], tenant_id: str, app_id: str, owner: str = "") -> tuple[Bucket, ...]:
        """Return the buckets of these limits for a tenant, an application and, where a limit is one
        team's or mailbox's, its owner; the limits that are off are left out.
        """
        found = (self._bucket(name, tenant_id, app_id, owner) for name in names)
        return tuple(bucket for bucket in found if bucket is not None)

    def take_smtp(self) -> str | None:
        """Take one message by SMTP; returns the seconds to wait where there is no room for it."""
        buckets = self.buckets(("smtp_mails",), "", "")
        self.refill(buckets)
        for bucket in buckets:
            if bucket.level < 1:
                self.refused[bucket.name] += 1
                return f"{bucket.wait_s(1, self._clock.quota_s()) / self._clock.time_scale:.0f}"
            bucket.level -= 1
        return None

    def refill(self, buckets: tuple[Bucket, ...]) -> None:
        """Bring these buckets up to now."""
        for bucket in buckets:
            bucket.refill(self._clock.quota_s())

    def retry_after(self, bucket: Bucket, cost: float) -> str | None:
        """Return a `Retry-After` in real seconds: whole, as Graph's, divided by the time scale."""
        mode = self.options.retry_after
        if mode == "absent":
            return None
        if mode == "one":
            return "1"
        seconds = max(1, math.ceil(bucket.wait_s(cost, self._clock.quota_s())))
        return f"{seconds / self._clock.time_scale:.3f}".rstrip("0").rstrip(".")

    def directory_grew(self, tenant_id: str, users: int) -> None:
        """Give a tenant the larger resource-unit limit once it has 50 users, again above 500."""
        size = 0 if users < 50 else 1 if users <= 500 else 2
        if self._sizes.get(tenant_id, 0) == size or "units_per_app_and_tenant" in self.options.limits:
            return
        self._sizes[tenant_id] = size
        amount = (3_500, 5_000, 8_000)[size]
        for (name, key), bucket in self._buckets.items():
            if name == "units_per_app_and_tenant" and key.endswith(tenant_id):
                bucket.level += amount - bucket.amount
                bucket.resize(amount, 10)

    def show(self) -> list[dict[str, object]]:
        """Return every bucket's level for the control API."""
        now_s = self._clock.quota_s()
        shown: list[dict[str, object]] = []
        for (name, key), bucket in self._buckets.items():
            bucket.refill(now_s)
            shown.append({"limit": name, "key": key, "amount": bucket.amount, "level": round(bucket.level, 2)})
        return shown

    def reset(self, options: QuotaOptions | None = None) -> None:
        """Start with full buckets, with other options where given."""
        if options is not None:
            self.options = options
            self._clock.time_scale = options.time_scale
        self.refused.clear()
        self._buckets.clear()
        self._meters.clear()
        self._sizes.clear()

    def _bucket(self, name: str, tenant_id: str, app_id: str, owner: str) -> Bucket | None:
        limit = self.options.limits.get(name, LIMITS[name])
        if not self.options.enabled or limit is None:
            return None
        key = tenant_id if name in ("invitations_per_tenant", "writes_per_tenant") else app_id
        if name.endswith("app_and_tenant"):
            key = f"{app_id}/{tenant_id}"
        elif name in OWNED:
            key = f"{app_id}/{tenant_id}/{owner}"
        bucket = self._buckets.get((name, key))
        if bucket is None:
            share = self.options.background.get(name, 0.0)
            bucket = Bucket(name, *limit, background=share, fixed=self.options.fixed_windows)
            bucket.updated_s = self._clock.quota_s()
            self._buckets[name, key] = bucket
        return bucket
