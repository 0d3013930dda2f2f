from __future__ import annotations

from typing import Any

import pytest

from sandbox.clock import Clock
from sandbox.options import OptionError, QuotaOptions, parse_background, parse_limits
from sandbox.quotas import Quotas


class Hand:
    """A clock turned by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _quotas(hand: Hand, **options: Any) -> Quotas:
    chosen = QuotaOptions(**options)
    return Quotas(chosen, Clock(monotonic=hand, time_scale=chosen.time_scale))


def _invitations(quotas: Quotas, count: int, app: str = "app") -> int:
    meter = quotas.meter("tenant", app)
    return sum(meter.take_invitation() is None for _ in range(count))


def test_every_bucket_binds() -> None:
    """30 a second until 3,000 writes are used up (about 300 s, 9,000 invitations), then 20 a
    second.
    """
    hand = Hand()
    quotas = _quotas(hand)
    passed = []
    for _ in range(600):
        passed.append(_invitations(quotas, 200))
        hand.now_s += 1
    assert passed[0] == 150
    assert sum(passed[:280]) == pytest.approx(150 + 279 * 30, abs=2)
    assert sum(passed[-200:]) == pytest.approx(200 * 20, abs=2)


def test_tenant_bucket_is_shared_by_applications() -> None:
    """The invitation limit counts all applications of a tenant together."""
    hand = Hand()
    quotas = _quotas(hand)
    assert _invitations(quotas, 100, "one") == 100
    assert _invitations(quotas, 100, "two") == 50


def test_refusal_names_scope_and_wait() -> None:
    """A refusal says what is full and for how long, divided by the time scale."""
    hand = Hand()
    quotas = _quotas(hand, limits={"invitations_per_tenant": (2, 100)}, time_scale=10)
    assert _invitations(quotas, 2) == 2
    refusal = quotas.meter("tenant", "app").take_invitation()
    assert refusal is not None
    assert refusal.retry_after == "5"
    assert refusal.scope == "Tenant/Write/app/tenant"
    assert refusal.information == "WriteLimitExceeded"
    hand.now_s += 5
    assert _invitations(quotas, 2) == 1


@pytest.mark.parametrize(("mode", "expected"), [("absent", None), ("one", "1")])
def test_retry_after_may_be_missing_or_always_one(mode: Any, expected: str | None) -> None:
    """Both habits reported of Graph can be had."""
    quotas = _quotas(Hand(), limits={"invitations_per_tenant": (1, 100)}, retry_after=mode)
    _invitations(quotas, 1)
    refusal = quotas.meter("tenant", "app").take_invitation()
    assert refusal is not None
    assert refusal.retry_after == expected


def test_refused_requests_accrue_if_asked_to() -> None:
    """With accrual, hammering a full bucket keeps it full for longer, up to 1.8 of the limit."""
    hand = Hand()
    quotas = _quotas(hand, limits={"invitations_per_tenant": (10, 10)}, accrue_while_throttled=True)
    assert _invitations(quotas, 100) == 10
    assert quotas.meter("tenant", "app").warning() == "1.80"
    hand.now_s += 8
    assert _invitations(quotas, 1) == 0
    hand.now_s += 3
    assert _invitations(quotas, 1) == 1


def test_fixed_windows() -> None:
    """A fixed window refuses until it ends, then all of it is there again."""
    hand = Hand()
    quotas = _quotas(hand, limits={"invitations_per_tenant": (10, 10)}, fixed_windows=True)
    assert _invitations(quotas, 20) == 10
    hand.now_s = 9
    assert _invitations(quotas, 20) == 0
    hand.now_s = 10
    assert _invitations(quotas, 20) == 10


def test_background_load_eats_a_share() -> None:
    """Somebody else's load leaves less to refill, and nothing says so."""
    hand = Hand()
    quotas = _quotas(hand, background=parse_background("0.5"))
    _invitations(quotas, 1_000)
    hand.now_s += 2
    assert _invitations(quotas, 1_000) == 30


def test_throttling_may_be_told_by_nothing_but_the_status() -> None:
    """Without its headers: no share of the limit, and an answer that names no scope
    (`sandbox.graph`).
    """
    quotas = _quotas(Hand(), limits={"invitations_per_tenant": (10, 10)}, throttle_headers=False)
    _invitations(quotas, 20)
    assert quotas.meter("tenant", "app").warning() is None


def test_warning_begins_above_four_fifths() -> None:
    """`x-ms-throttle-limit-percentage` appears only above 0.8 of a limit."""
    quotas = _quotas(Hand(), limits={"invitations_per_tenant": (100, 10)})
    _invitations(quotas, 80)
    assert quotas.meter("tenant", "app").warning() is None
    _invitations(quotas, 5)
    assert quotas.meter("tenant", "app").warning() == "0.85"


def test_reads_cost_units_only() -> None:
    """Reads never use up writes."""
    quotas = _quotas(Hand(), limits={"units_per_app_and_tenant": (10, 10)})
    meter = quotas.meter("tenant", "app")
    assert sum(meter.take_read(2) is None for _ in range(10)) == 5
    levels = {entry["limit"]: entry["level"] for entry in quotas.show()}
    assert levels["writes_per_tenant"] == 18_000


def test_larger_tenants_have_more_units() -> None:
    """The documented size classes: under 50, 50 to 500, over 500 users."""
    quotas = _quotas(Hand())
    quotas.meter("tenant", "app")
    amounts = []
    for users in (10, 50, 501):
        quotas.directory_grew("tenant", users)
        amounts += [entry["amount"] for entry in quotas.show() if entry["limit"] == "units_per_app_and_tenant"]
    assert amounts == [3_500, 5_000, 8_000]


def test_off() -> None:
    """Without quota nothing is refused."""
    assert _invitations(_quotas(Hand(), enabled=False), 10_000) == 10_000
    limits = parse_limits("invitations_per_tenant=off,writes_per_app_and_tenant=off")
    assert _invitations(_quotas(Hand(), limits=limits), 10_000) == 3_500


def test_limits_are_read_strictly() -> None:
    """A misspelt limit is an error, not a limit that never binds."""
    assert parse_limits("writes_per_app=10/2s") == {"writes_per_app": (10.0, 2.0)}
    for text in ("writes=10/2s", "writes_per_app=10", "writes_per_app", "writes_per_app=0/5s"):
        with pytest.raises(OptionError):
            parse_limits(text)
