"""A request must pass these token buckets, each so large. Pure: the levels are Redis's business
(`begin_batch`).

The limits are Microsoft's, nested: a request must pass every one of them. They belong to the tenant
and the application, never to the name a connection has here, so two names for one application on
one tenant share their buckets.
https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from config.values import Limit

_LEAST_KEPT = 2.0
"""Rows left to single guests, however small the share: less than one would let nobody through."""

_DOCUMENTED = (
    *("invitations:", "writes:", "writes-tenant:", "writes-app:", "units:", "units-app:"),
    *("team:", "teams:", "teams-app:", "sign-ins-app:"),
)

_OF_AN_APP = ("writes-app:", "units-app:")
"""Buckets that all tenants of an application take from."""

_CALLS_A_TEAM = (4.0, 60_000)
_TEAM_CALLS_A_TENANT = (10.0, 1_000)
_TEAM_CALLS_AN_APP = (100.0, 1_000)
"""Calls that add members, and the milliseconds for so many; they do not count as writes to the
directory. https://learn.microsoft.com/graph/throttling-limits#microsoft-teams-service-limits
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: `amount` tokens at most, filling up once every `window_ms`; one request costs
    `cost`.

    Bulk work leaves `kept` of it alone, for guests that somebody waits for, and takes turns at what
    comes in where connections of several tenants share it (`in_turn`). A window of 0 is the guarded
    pace: `amount` rows a minute at first, doubled by `begin_batch` after each clean ten minutes.
    """

    scope: str
    amount: float
    window_ms: int
    cost: float = 1
    kept: float = 0
    in_turn: bool = False


def invitation_buckets(settings: Settings, connection: Connection) -> list[Bucket]:
    """Return the buckets that one `POST /invitations` takes from."""
    buckets, client = [_own(settings, connection), *write_buckets(settings, connection)], connection.client_key
    pace = connection.pace
    if pace.kind == "guarded":
        buckets.append(Bucket(f"pace:{client}", pace.per_minute or 12, 0))
    elif pace.per_minute:
        buckets.append(even_bucket(f"pace:{client}", pace.per_minute))
    return buckets


def _own(settings: Settings, connection: Connection) -> Bucket:
    """Return the bucket of the tenant's invitations, whoever sends them."""
    q = settings.quota
    return _bucket(f"invitations:{connection.tenant_key}", q.invitations_per_tenant, q.interactive_reserve.share)


def even_bucket(scope: str, per_minute: float) -> Bucket:
    """Return a bucket that lets so many rows through in a minute, one by one: at most one is saved
    up. (60 s / `per_minute` is the time to save one.)
    """
    saved = max(1.0, per_minute / 60)
    return Bucket(scope, saved, _ms(saved / per_minute * 60))


def write_buckets(settings: Settings, connection: Connection) -> list[Bucket]:
    """Return the buckets that any call that changes something takes from: writes and units."""
    q = settings.quota
    client, app = connection.client_key, connection.app_key
    limits = (
        (f"writes:{client}", q.writes_per_app_and_tenant),
        (f"writes-tenant:{connection.tenant_key}", q.writes_per_tenant),
        (f"writes-app:{app}", q.writes_per_app),
        (f"units:{client}", q.units_per_app_and_tenant),
        (f"units-app:{app}", q.units_per_app),
    )
    return [_bucket(scope, limit, q.interactive_reserve.share) for scope, limit in limits]


def team_buckets(connection: Connection, team: str, share: float) -> list[Bucket]:
    """Return the buckets that adding a member to a team takes from, each a row's share of a
    call. `team`: its id, '' for none in particular.
    """
    limits = (
        (f"team:{connection.tenant_key}:{team}", _CALLS_A_TEAM),
        (f"teams:{connection.client_key}", _TEAM_CALLS_A_TENANT),
        (f"teams-app:{connection.app_key}", _TEAM_CALLS_AN_APP),
    )
    return [Bucket(scope, amount, window_ms, share) for scope, (amount, window_ms) in limits]


def read_buckets(settings: Settings, connection: Connection) -> list[Bucket]:
    """Return the buckets that a read takes from: resource units only."""
    q = settings.quota
    return [
        _bucket(f"units:{connection.client_key}", q.units_per_app_and_tenant, q.interactive_reserve.share),
        _bucket(f"units-app:{connection.app_key}", q.units_per_app, q.interactive_reserve.share),
    ]


def sign_in_buckets(settings: Settings, connection: Connection) -> list[Bucket]:
    """Return the bucket that a request for dates of signing in takes from.
    https://learn.microsoft.com/graph/throttling-limits#identity-and-access-reports-service-limits
    """
    return [_bucket(f"sign-ins-app:{connection.app_key}", settings.quota.sign_in_reads_per_app, 0.0)]


def throttled_buckets(buckets: Sequence[Bucket], scope: str) -> list[Bucket]:
    """Return the buckets that a 429's `x-ms-throttle-scope` may speak of; the emptiest of them is
    the one that is closed.

    Its form is `<Scope>/<Limit>/<ApplicationId>/<TenantId|UserId|ResourceId>`, Scope being one of
    `User`, `Application`, `Tenant`, `Application_User`, `Tenant_Application`, …. Without it a 429
    may mean any but our own pace. That of a read speaks of resource units, which invitations need
    too.
    https://learn.microsoft.com/graph/throttling-limits#pattern
    """
    head = scope.split("/", 1)[0].lower()
    wanted = {
        "tenant": ("invitations:", "writes-tenant:"),
        "application": ("writes-app:", "units-app:"),
        "tenant_application": ("writes:", "units:"),
    }.get(head, _DOCUMENTED)
    meant = [bucket for bucket in buckets if bucket.scope.startswith(wanted)]
    return meant or [bucket for bucket in buckets if bucket.scope.startswith(_DOCUMENTED)] or list(buckets)


def shown_buckets(settings: Settings, connection: Connection, buckets: Sequence[Bucket]) -> list[Bucket]:
    """Return the buckets that a share may speak of which Graph shows beside an answer.

    Not the call's own alone: which limit is meant is not said, and a tenant's invitations are at
    their edge while others of the app change users.
    """
    own = _own(settings, connection)
    return [*buckets] if any(bucket.scope == own.scope for bucket in buckets) else [own, *buckets]


def seconds_for_all(loads: Iterable[tuple[Sequence[Bucket], int]]) -> float:
    """Return the shortest time, in seconds, in which full buckets let calls of several kinds
    through, each with its buckets and their number: what two kinds share, both empty.
    """
    wanted: dict[str, tuple[Bucket, float]] = {}
    for buckets, calls in loads:
        for bucket in buckets:
            _, before = wanted.get(bucket.scope, (bucket, 0.0))
            wanted[bucket.scope] = (replace(bucket, cost=1), before + calls * bucket.cost)
    return max((_seconds(bucket, calls) for bucket, calls in wanted.values()), default=0.0)


def _seconds(bucket: Bucket, rows: float) -> float:
    if bucket.window_ms:
        return max(0.0, rows * bucket.cost - bucket.amount) * bucket.window_ms / bucket.amount / 1000
    seconds, rate = 0.0, bucket.amount
    while rows > rate * 10 and rate < bucket.amount * 1024:  # ten minutes at each rate, then twice as fast
        rows, seconds, rate = rows - round(rate * 10), seconds + 600, rate * 2
    return seconds + rows / rate * 60


def _bucket(scope: str, limit: Limit, reserve: float) -> Bucket:
    return _make_bucket(scope, limit.amount, limit.per_s, reserve)


@lru_cache(maxsize=4096)  # every batch of a connection takes from the same
def _make_bucket(scope: str, amount: int, per_s: float, reserve: float) -> Bucket:
    kept = max(_LEAST_KEPT, amount * reserve) if reserve else 0.0
    kept = max(0.0, min(kept, amount / 2 - 1))  # a batch waits for half a bucket at most
    return Bucket(scope, amount, _ms(per_s), kept=kept, in_turn=scope.startswith(_OF_AN_APP))


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))  # 0 means the guarded pace
