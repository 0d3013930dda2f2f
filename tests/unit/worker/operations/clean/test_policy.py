"""What is done to which guest, and why: each rule of the clean-up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.guest_rules import CleanSection
from config.reader import parse_connection
from worker.graph.guests import Guest, GuestState
from worker.operations.clean.judging import policy_of
from worker.operations.clean.policy import (
    NOTHING,
    Because,
    Deed,
    Finding,
    Memory,
    Policy,
    Spared,
    Stays,
    explain_left,
    judge,
    read_day,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = 86_400.0
ALL = Policy(
    CleanSection(
        remind_after=7 * DAY,
        disable_pending_after=30 * DAY,
        disable_inactive_after=90 * DAY,
        disable_expired=True,
        expiry_attribute="extensionAttribute10",
        delete_disabled_after=30 * DAY,
        spare_domains=("spared.example",),
    ),
    remind_every_s=7 * DAY,
    remind_times=2,
)
NOBODY = Spared()


def policy_with(**changes: Any) -> Policy:
    """The same policy with some settings changed."""
    return replace(ALL, clean=ALL.clean.model_copy(update=changes))


def ago(days: float) -> datetime:
    """So many days before now."""
    return NOW - timedelta(days=days)


def guest(state: GuestState = GuestState.ACCEPTED, **more: Any) -> Guest:
    """A guest who has accepted and never signed in since, a year ago."""
    plain = Guest("ID-1", "ann@partner.example", "Ann", state, ago(365), ago(366), enabled=True)
    return replace(plain, **more)


def pending(days: float, **more: Any) -> Guest:
    """A guest who was invited so long ago, and has not accepted."""
    return guest(GuestState.PENDING, state_since=ago(days), created_at=ago(days), **more)


def found(one: Guest, memory: Memory = NOTHING, policy: Policy = ALL, spared: Spared = NOBODY) -> Finding:
    """What the policy says of a guest."""
    return judge(one, memory, policy, spared, NOW)


INACTIVE = guest()
LEFT = guest(enabled=False)
BY_USHER = Memory(disabled_at=ago(40))


def told(finding: Finding) -> tuple[Deed | None, Because | Stays]:
    """What is done, and why, without the words."""
    return finding.deed, finding.code


@pytest.mark.parametrize(
    ("one", "memory", "deed", "because"),
    [
        (pending(8), NOTHING, Deed.REMIND, Because.PENDING),
        (pending(31), NOTHING, Deed.DISABLE, Because.PENDING),
        (INACTIVE, NOTHING, Deed.DISABLE, Because.INACTIVE),
        (guest(signed_in_at=NOW, attributes={"extensionAttribute10": "2026-05-31"}), NOTHING, "disable", "expired"),
        (LEFT, BY_USHER, Deed.DELETE, Because.DISABLED),
    ],
)
def test_what_the_policy_asks_for_is_found(one: Guest, memory: Memory, deed: str, because: str) -> None:
    """Each deed and each reason, and each only where its setting is there."""
    assert told(found(one, memory)) == (deed, because)
    assert found(one, memory, Policy(CleanSection(), 3 * DAY, 3)).deed is None


@pytest.mark.parametrize(
    ("one", "spared", "policy", "why"),
    [
        ({"user_type": "Member"}, NOBODY, policy_with(include_internal=True), Stays.MEMBER),
        ({"user_type": ""}, NOBODY, ALL, Stays.MEMBER),
        ({}, Spared(role_holders=frozenset({"id-1"})), ALL, Stays.ROLE_HOLDER),
        ({"invited": False}, NOBODY, ALL, Stays.NOT_INVITED),
        ({}, Spared(addresses=frozenset({"ann@partner.example"})), ALL, Stays.SPARED),
        ({"email": "ANN@Partner.example"}, Spared(addresses=frozenset({"ann@partner.example"})), ALL, Stays.SPARED),
        ({"others": ("a@b.example",)}, Spared(addresses=frozenset({"a@b.example"})), ALL, Stays.SPARED),
        ({"email": "a@spared.example"}, NOBODY, ALL, Stays.SPARED),
        ({"email": "a@deep.sub.Spared.example"}, NOBODY, ALL, Stays.SPARED),
        ({"others": ("a@sub.spared.example",)}, NOBODY, ALL, Stays.SPARED),
        ({}, Spared(ids=frozenset({"id-1"})), ALL, Stays.SPARED),
    ],
)
def test_who_is_never_touched(one: dict[str, Any], spared: Spared, policy: Policy, why: Stays) -> None:
    """Whatever else is true of them: pending, inactive, expired, or disabled by usher."""
    expired = guest(attributes={"extensionAttribute10": "2020-01-01"})
    for plain in (pending(8), pending(31), INACTIVE, expired, LEFT):
        assert told(found(replace(plain, **one), BY_USHER, policy, spared)) == (None, why)


def test_a_domain_that_only_ends_alike_is_not_spared() -> None:
    """Nor is one that the spared one is a subdomain of."""
    for email in ("a@notspared.example", "a@example", "spared.example@partner.example", ""):
        assert found(guest(email=email)).deed is Deed.DISABLE


def test_guests_who_did_not_come_by_an_invitation_are_taken_where_it_is_asked_for() -> None:
    """They have no state, and count from creation."""
    internal = guest(GuestState.UNKNOWN, invited=False, state_since=None)
    assert told(found(internal, policy=policy_with(include_internal=True))) == (Deed.DISABLE, Because.INACTIVE)


@pytest.mark.parametrize(
    ("one", "deed"),
    [
        ({"created_at": ago(400), "state_since": ago(91)}, Deed.DISABLE),
        ({"created_at": ago(400), "state_since": ago(89)}, None),  # accepted later than created
        ({"created_at": ago(89), "state_since": ago(400)}, None),
        ({"created_at": ago(400), "state_since": ago(400), "signed_in_at": ago(89)}, None),
        ({"created_at": ago(400), "state_since": ago(400), "signed_in_at": ago(90)}, Deed.DISABLE),
        ({"created_at": None, "state_since": None}, None),
        ({"created_at": None, "state_since": ago(91)}, Deed.DISABLE),
        ({"created_at": None, "state_since": None, "signed_in_at": ago(91)}, Deed.DISABLE),
        ({"state_since": NOW}, None),  # a second ago
    ],
)
def test_who_accepted_counts_from_the_latest_sign(one: dict[str, Any], deed: Deed | None) -> None:
    """Signing in, acceptance, creation; of whom nobody can tell stays."""
    assert found(guest(**one)).deed is deed


@pytest.mark.parametrize(
    ("one", "deed"),
    [
        ({"created_at": ago(91)}, Deed.DISABLE),
        ({"created_at": ago(89)}, None),
        ({"created_at": None}, None),
        ({"created_at": None, "signed_in_at": ago(400)}, None),
        ({"created_at": ago(400), "signed_in_at": ago(1)}, None),
        ({"created_at": ago(400), "state_since": ago(1)}, Deed.DISABLE),  # of what state it tells nobody knows
    ],
)
def test_who_is_of_no_known_state_counts_from_creation(one: dict[str, Any], deed: Deed | None) -> None:
    """And is never pending: neither reminded nor disabled as one who did not accept."""
    assert found(guest(GuestState.UNKNOWN, **{"state_since": None, **one})).deed is deed
    assert found(guest(GuestState.UNKNOWN, **one), policy=policy_with(disable_inactive_after_s=None)).deed is None


@pytest.mark.parametrize(
    ("one", "deed"),
    [
        (pending(6.9), None),
        (pending(7), Deed.REMIND),
        (pending(29.9), Deed.REMIND),
        (pending(30), Deed.DISABLE),  # past both ages
        (pending(400, signed_in_at=ago(1)), Deed.DISABLE),
        (guest(GuestState.PENDING, created_at=ago(400), state_since=ago(8)), Deed.REMIND),  # has to accept anew
        (guest(GuestState.PENDING, created_at=ago(400), state_since=None), Deed.DISABLE),
        (guest(GuestState.PENDING, created_at=None, state_since=None), None),
        (pending(8, email=""), None),
        (pending(31, email=""), Deed.DISABLE),
    ],
)
def test_who_is_pending_counts_from_the_invitation(one: Guest, deed: Deed | None) -> None:
    """The last one, where somebody has to accept again; without an address nobody is reminded."""
    assert found(one).deed is deed


@pytest.mark.parametrize(("days", "deed"), [(2, None), (8, Deed.REMIND), (31, Deed.DISABLE)])
def test_an_invitation_on_purpose_counts_anew(days: float, deed: Deed | None) -> None:
    """Whom usher has mailed again was not invited years ago, though the tenant shows nothing of
    it.
    """
    assert found(pending(400), Memory(invited_at=ago(days))).deed is deed


@pytest.mark.parametrize(
    ("memory", "deed"),
    [
        (Memory(1, ago(8)), Deed.REMIND),
        (Memory(1, ago(6)), None),
        (Memory(2, ago(8)), None),
        (Memory(9, ago(21)), Deed.REMIND),  # of a guest of that address before this one
    ],
)
def test_reminders_keep_their_distance(memory: Memory, deed: Deed | None) -> None:
    """So many at most, so far apart; what is older than the invitation was another one's."""
    finding = found(pending(20), memory)
    assert finding.deed is deed
    assert deed or finding.code is Stays.REMINDED


@pytest.mark.parametrize(
    ("ends", "deed"),
    [
        ("2026-05-31", Deed.DISABLE),
        ("2026-05-31T23:59:59Z", Deed.DISABLE),
        ("2026-06-01", None),  # its whole day counts
        ("2027-01-01", None),
        ("31.05.2026", None),
        ("next week", None),
        ("10021015", None),  # a cost centre, and a date of 1002 to whoever reads it so
        ("2019W011", None),
        ("", None),
    ],
)
def test_access_ends_with_the_day_that_the_tenant_keeps(ends: str, deed: Deed | None) -> None:
    """Whatever else the guest does; what is no date ends nothing."""
    kept = {"extensionAttribute10": ends, "extensionAttribute1": "2020-01-01"}
    assert found(guest(signed_in_at=NOW, attributes=kept)).deed is deed
    assert found(pending(1, attributes=kept)).deed is deed
    assert (read_day(ends) is None) is (not ends.startswith("20") or "-" not in ends)


@pytest.mark.parametrize(
    ("one", "memory", "deed"),
    [
        (LEFT, Memory(disabled_at=ago(30)), Deed.DELETE),
        (LEFT, Memory(disabled_at=ago(29)), None),
        (LEFT, NOTHING, None),  # by hand
        (guest(enabled=False, signed_in_at=ago(1)), Memory(disabled_at=ago(40)), None),  # tries to come in still
        (guest(enabled=False, signed_in_at=ago(41)), Memory(disabled_at=ago(40)), Deed.DELETE),
        (pending(31, enabled=False), NOTHING, None),
    ],
)
def test_only_whom_usher_disabled_is_deleted(one: Guest, memory: Memory, deed: Deed | None) -> None:
    """And nobody else who is disabled is touched in any way."""
    finding = found(one, memory)
    assert finding.deed is deed
    assert deed or finding.code is Stays.BLOCKED


def test_who_was_enabled_since_is_not_deleted() -> None:
    """That usher disabled them once counts for nothing then."""
    assert found(guest(signed_in_at=ago(1)), BY_USHER).deed is None


@pytest.mark.parametrize(
    ("then", "one", "words"),
    [
        (Deed.DELETE, guest(signed_in_at=NOW), "somebody has enabled this guest"),
        (Deed.DISABLE, LEFT, "this guest has been disabled since"),
        (Deed.DISABLE, guest(signed_in_at=NOW), "last attempt to sign in on 2026-06-01 (0 seconds ago)"),
        (Deed.REMIND, guest(state_since=ago(1)), "this guest has accepted since"),
        (Deed.REMIND, pending(1), "invited on 2026-05-31 (1 day ago)"),
        (Deed.DELETE, LEFT, "disabled, and not by usher"),
    ],
)
def test_who_is_left_alone_after_all_is_told_why(then: Deed, one: Guest, words: str) -> None:
    """A sentence, by what has changed."""
    assert words in explain_left(then, one, found(one))


def policy_by(**settings: Any) -> Policy:
    """The policy of a connection with these settings."""
    table = {"tenant_id": "contoso.com", "client_id": "app", "client_secret": "env:S", "clean": settings}
    return policy_of(parse_connection("contoso", table))


def test_a_policy_is_made_of_the_settings() -> None:
    """What they do not say of reminders is what goes by hand."""
    nothing = policy_by()
    assert (nothing.remind_every_s, nothing.remind_times, nothing.deeds) == (3 * DAY, 3, frozenset())
    assert not nothing.needs_dates
    full = policy_by(
        remind_after=7 * DAY,
        remind_every=2 * DAY,
        remind_times=1,
        disable_inactive_after=90 * DAY,
        delete_disabled_after=20.0,
        spare_domains=["Bücher.example"],
    )
    assert (full.remind_every_s, full.remind_times, full.deeds) == (2 * DAY, 1, frozenset(Deed))
    assert full.needs_dates
    assert found(guest(email="a@sub.xn--bcher-kva.example"), policy=full).code is Stays.SPARED
    for alone in (policy_by(disable_expired=True), policy_by(disable_pending_after=1.0)):
        assert alone.deeds == {Deed.DISABLE}
