from __future__ import annotations

from typing import Any

import pytest

from config.connections import Connection
from config.reader import parse_connection
from config.settings import Settings
from config.values import Limit, Reserve
from worker.ledger.quota import (
    Bucket,
    invitation_buckets,
    read_buckets,
    seconds_for_all,
    shown_buckets,
    throttled_buckets,
    write_buckets,
)

_ALL = {"invitations", "writes", "writes-tenant", "writes-app", "units", "units-app"}


def _connection(name: str = "contoso", **more: Any) -> Connection:
    table = {
        "tenant_id": "11111111-1111-1111-1111-111111111111",
        "client_id": "22222222-2222-2222-2222-222222222222",
        "client_secret": "env:NONE",
        **more,
    }
    return parse_connection(name, table)


def test_an_invitation_passes_every_documented_bucket() -> None:
    """The six of Graph's documentation, in its numbers."""
    found = {b.scope.split(":")[0]: (b.amount, b.window_ms) for b in invitation_buckets(Settings(), _connection())}
    assert found == {
        "invitations": (150, 5_000),
        "writes": (3_000, 150_000),
        "writes-tenant": (18_000, 300_000),
        "writes-app": (35_000, 300_000),
        "units": (3_500, 10_000),
        "units-app": (150_000, 20_000),
    }


def test_two_names_for_one_application_share_their_buckets() -> None:
    """Buckets belong to tenant and client, whatever the connection is called."""
    one, two = (invitation_buckets(Settings(), _connection(name, pace="12/min")) for name in ("one", "two"))
    assert one == two


def test_a_tenants_bucket_is_shared_by_its_applications() -> None:
    """Another client on the same tenant: the tenant's limits are one, its own are its own."""
    other = _connection(client_id="33333333-3333-3333-3333-333333333333")
    here = {b.scope for b in invitation_buckets(Settings(), _connection())}
    there = {b.scope for b in invitation_buckets(Settings(), other)}
    assert {scope.split(":")[0] for scope in here & there} == {"invitations", "writes-tenant"}


def test_reads_cost_resource_units_only() -> None:
    """Looking people up takes nothing from the invitations."""
    assert [b.scope.split(":")[0] for b in read_buckets(Settings(), _connection())] == ["units", "units-app"]


@pytest.mark.parametrize(
    ("pace", "amount", "window_ms"), [("12/min", 1, 5_000), ("90/min", 1.5, 1_000), ("6000/min", 100, 1_000)]
)
def test_a_smooth_pace_saves_up_a_second_at_most(pace: str, amount: float, window_ms: int) -> None:
    """Rows leave one by one at that rate."""
    bucket = invitation_buckets(Settings(), _connection(pace=pace))[-1]
    assert (bucket.scope.split(":")[0], bucket.amount, bucket.window_ms) == ("pace", amount, window_ms)


def test_a_guarded_pace_is_told_by_its_window() -> None:
    """The script keeps it, from 12 a minute."""
    bucket = invitation_buckets(Settings(), _connection(pace="guarded"))[-1]
    assert (bucket.amount, bucket.window_ms) == (12, 0)


def test_no_other_window_is_nothing() -> None:
    """However fast: a window of 0 would mean the guarded pace."""
    settings = Settings(
        quota=Settings().quota.model_copy(update={"units_per_app": type(Settings().quota.units_per_app)(1, 0.0001)})
    )
    assert all(b.window_ms >= 1 for b in invitation_buckets(settings, _connection()))
    assert all(b.window_ms >= 1 for b in read_buckets(settings, _connection()))


@pytest.mark.parametrize(
    ("scope", "closed"),
    [
        ("Tenant/Write/app/tenant", {"invitations", "writes-tenant"}),
        ("Application/Write/app/tenant", {"writes-app", "units-app"}),
        ("Tenant_Application/Write/app/tenant", {"writes", "units"}),
        ("", _ALL),
        ("nonsense", _ALL),
    ],
)
def test_a_429_may_mean_what_it_speaks_of(scope: str, closed: set[str]) -> None:
    """Without a scope, or with an unknown one: any limit of Microsoft's, but never our own pace."""
    buckets = invitation_buckets(Settings(), _connection(pace="12/min"))
    assert {b.scope.split(":")[0] for b in throttled_buckets(buckets, scope)} == closed


def test_a_429_of_a_read_means_resource_units() -> None:
    """Whatever scope it names."""
    buckets = read_buckets(Settings(), _connection())
    for scope in ("", "Tenant/Read/a/t", "Tenant_Application/ReadWrite/a/t"):
        assert {b.scope.split(":")[0] for b in throttled_buckets(buckets, scope)} <= {"units", "units-app"}
        assert throttled_buckets(buckets, scope)


def test_what_graph_shows_as_used_may_be_the_tenants_invitations() -> None:
    """They are at their edge while profiles are written, and the answers of those show it."""
    settings, connection = Settings(), _connection()
    invitations = invitation_buckets(settings, connection)
    assert shown_buckets(settings, connection, invitations) == invitations
    writes = write_buckets(settings, connection)
    assert shown_buckets(settings, connection, writes) == [invitations[0], *writes]


def test_bulk_work_leaves_a_share_of_every_limit_alone() -> None:
    """Of Microsoft's limits, never of a pace; so little that half a bucket, which a batch may wait
    for, is always left.
    """
    quota = Settings().quota.model_copy(update={"interactive_reserve": Reserve(0.1), "units_per_app": Limit(1, 1.0)})
    buckets = invitation_buckets(Settings(quota=quota), _connection(pace="12/min"))
    assert {b.scope.split(":")[0]: b.kept for b in buckets} == {
        "invitations": 15,
        "writes": 300,
        "writes-tenant": 1_800,
        "writes-app": 3_500,
        "units": 350,
        "units-app": 0,
        "pace": 0,
    }


def test_the_time_the_quota_allows() -> None:
    """9,000 rows fit the first 300 s: full buckets first, then the slowest refill."""
    buckets = invitation_buckets(Settings(), _connection())
    assert seconds_for_all([(buckets, 100)]) == 0
    assert seconds_for_all([(buckets, 9_000)]) == pytest.approx(300, abs=6)
    assert seconds_for_all([([Bucket("p", 12, 0)], 120)]) == 600
    assert seconds_for_all([([Bucket("p", 12, 0)], 120 + 240)]) == 1200
    assert seconds_for_all([([], 5)]) == 0
