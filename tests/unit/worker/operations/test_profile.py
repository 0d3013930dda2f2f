"""A profile is written once, only where it differs, and never to a member of the tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.configs import build_connection
from tests.standins import answered
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.graph.users import DirectoryUser
from worker.ledger.model import Options, RowState
from worker.operations.operation import Asked, Call
from worker.operations.profile import Profile, find_changes
from worker.operations.tenant_rules import TenantRules

GUEST = "11111111-1111-1111-1111-111111111111"
ATTRIBUTE = "extensionAttribute10"
CONNECTION = build_connection()
PROFILE = Profile()
ROW = {
    "email": "ann@partner.example",
    "user_id": GUEST,
    "first_name": "Ann",
    "last_name": "Berg",
    "display_name": "Ann Berg",
    "company": "Partner",
    "department": "Sales",
    "job_title": "Buyer",
    "usage_location": "NO",
    "phone": "+47 1",
    "expires": "2026-12-31",
}
WRITTEN = {
    "givenName": "Ann",
    "surname": "Berg",
    "companyName": "Partner",
    "department": "Sales",
    "jobTitle": "Buyer",
    "usageLocation": "NO",
    "mobilePhone": "+47 1",
    "onPremisesExtensionAttributes": {ATTRIBUTE: "2026-12-31"},
}


def user(more: Mapping[str, Any] | None = None, *, member: bool = False) -> DirectoryUser:
    """Return a guest as the look-up shows them."""
    return DirectoryUser(GUEST, None, member, enabled=True, more=more or {})


def asked(row: Mapping[str, Any], there: DirectoryUser | None = None) -> Asked:
    """Return a row as it is asked to leave."""
    return Asked(0, row, there)


def test_a_new_guest_is_given_all_that_the_row_says() -> None:
    """But the name that the invitation has written; what the replica shows is not believed."""
    there = user({"givenName": "Ann", "companyName": "Partner"})
    assert find_changes(asked(ROW | {"new": True}, there), CONNECTION) == WRITTEN
    assert find_changes(asked(ROW | {"new": True}), CONNECTION) == WRITTEN


def test_only_what_differs_is_written_to_a_guest_of_before() -> None:
    """What is the same, or not given, is left alone."""
    there = user(WRITTEN | {"displayName": "Ann Berg"})
    assert find_changes(asked(ROW, there), CONNECTION) == {}
    changed = WRITTEN | {"companyName": "Other", "onPremisesExtensionAttributes": {ATTRIBUTE: "2026-01-01", "x": "y"}}
    there = user(changed | {"displayName": "A. Berg"})
    assert find_changes(asked(ROW, there), CONNECTION) == {
        "companyName": "Partner",
        "displayName": "Ann Berg",
        "onPremisesExtensionAttributes": {ATTRIBUTE: "2026-12-31"},
    }
    bare = {"email": "a@b.example", "company": "", "phone": None, "department": "Sales"}
    assert find_changes(asked(bare, user({"companyName": "Kept"})), CONNECTION) == {"department": "Sales"}


def test_the_end_is_kept_where_the_connection_says() -> None:
    """Another attribute of the tenant is another place."""
    there = user(WRITTEN | {"displayName": "Ann Berg"})
    differ = find_changes(asked(ROW, there), build_connection(clean={"expiry_attribute": "extensionAttribute3"}))
    assert differ == {"onPremisesExtensionAttributes": {"extensionAttribute3": "2026-12-31"}}
    assert find_changes(asked(ROW, user({"onPremisesExtensionAttributes": None})), CONNECTION)[
        "onPremisesExtensionAttributes"
    ] == {ATTRIBUTE: "2026-12-31"}


async def test_who_is_as_the_row_says_costs_no_write() -> None:
    """The row ends before anything is sent; the others are built with their differences."""
    connection = build_connection(clean={"expiry_attribute": "extensionAttribute3"})
    kept = {"onPremisesExtensionAttributes": {"extensionAttribute3": "2026-12-31"}}
    same = user(WRITTEN | kept | {"displayName": "Ann Berg"})
    rows = [Asked(4, ROW, same), Asked(7, ROW, user())]
    ended = await PROFILE.compare(None, rows, connection, Options())  # type: ignore[arg-type]  # nothing is asked
    assert {i: (one.letter, one.user_id) for i, one in ended.items()} == {4: (RowState.ALREADY, GUEST)}  # type: ignore[union-attr]
    (call,) = PROFILE.build(rows[1:], connection, Options())
    assert (call.request.method, call.request.path, call.rows) == ("PATCH", f"/users/{GUEST}", (7,))
    assert call.request.body is not None
    assert call.request.body["onPremisesExtensionAttributes"] == {"extensionAttribute3": "2026-12-31"}


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"email": "a@b.example", "display_name": "Ann"}, ()),
        ({"email": "a@b.example", "expires": "2026-12-31"}, ("",)),
        ({"email": "a@b.example", "last_name": "Berg"}, ()),
        ({"email": "a@b.example", "last_name": "Berg", "groups": ["Partners"]}, ("",)),
        ({"email": "a@b.example", "company": ""}, ()),
        ({"email": "a@b.example", "source": "crm"}, ("",)),
        ({"email": "a@b.example", "source": "crm left", "then": "disable"}, ()),
    ],
)
def test_a_row_asks_for_it_by_what_it_says(row: Mapping[str, Any], wanted: tuple[str, ...]) -> None:
    """A list of addresses and names to show, as most are, asks for nothing."""
    assert PROFILE.targets(row, Options()) == wanted


MARK = "extensionAttribute11"


@pytest.mark.parametrize(
    ("there", "wanted", "written"),
    [
        (None, "crm", {MARK: "crm"}),
        ("", "crm", {MARK: "crm"}),
        ("crm", "crm", {}),
        ("crm left", "crm", {MARK: "crm"}),
        ("crm", "crm left", {MARK: "crm left"}),
        ("hr left", "crm", {MARK: "crm"}),
        ("hr", "crm", {}),
        ("Project X", "crm", {}),
        ("hr", "crm left", {}),
    ],
)
def test_a_lists_mark_is_written_over_nobody_elses(there: str | None, wanted: str, written: dict[str, str]) -> None:
    """It lies beside the end of access; another list's is kept until its guest has left that list,
    and a text that no list has written always.
    """
    row = {"email": "a@b.example", "source": wanted}
    body = find_changes(asked(row, user({"onPremisesExtensionAttributes": {MARK: there}})), CONNECTION)
    assert body.get("onPremisesExtensionAttributes", {}) == written
    both = find_changes(asked({**row, "source": "crm", "expires": "2027-01-31"}, user()), CONNECTION)
    assert both == {"onPremisesExtensionAttributes": {MARK: "crm", ATTRIBUTE: "2027-01-31"}}


def test_whatever_a_row_may_say_is_looked_up_and_kept() -> None:
    """Each property that is written is read first, and each column that is used is in the item."""
    body = find_changes(asked(ROW, user()), CONNECTION)
    assert set(body) <= set(PROFILE.reads)
    assert set(ROW) - {"email", "user_id"} <= PROFILE.columns


@pytest.mark.parametrize(
    ("row", "there", "code"),
    [
        (ROW, None, "not_there"),
        (ROW, user(member=True), "own_member"),
        (ROW | {"new": True}, user(member=True), ""),
        (ROW | {"user_type": "Member"}, user(member=True), "own_member"),
        (ROW | {"user_type": "Member", "new": True}, user(member=True), ""),
        (ROW | {"user_type": "Guest"}, user(member=True), "own_member"),
        (ROW, user(), ""),
    ],
)
def test_a_member_is_never_changed(row: Mapping[str, Any], there: DirectoryUser | None, code: str) -> None:
    """Unless this job has made them one; whatever else the row asks for."""
    outcome = PROFILE.judge_seen(Asked(0, row, there), Options())
    assert (outcome.code if outcome else "") == code
    assert outcome is None or (outcome.letter is RowState.FAILED and outcome.message.endswith("."))


SYNCED = (
    "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently"
)
GONE = f"Resource '{GUEST}' does not exist or one of its queried reference-property objects are not present."


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (answered(204), Kind.DONE, ""),
        (answered(400, "Request_BadRequest", SYNCED), Kind.FAILED, "synced_user"),
        (
            answered(400, "Request_BadRequest", "Invalid value for property 'usageLocation'."),
            Kind.FAILED,
            "bad_usage_location",
        ),
        (answered(400, "Request_BadRequest", "Some new rule."), Kind.FAILED, "refused"),
        (answered(404, "Request_ResourceNotFound", GONE), Kind.RETRY, "not_there_yet"),
        (
            answered(400, "Directory_ObjectNotFound", "Unable to read the company information"),
            Kind.RETRY,
            "not_there_yet",
        ),
        (answered(403, "Authorization_RequestDenied", "Insufficient privileges"), Kind.HOLD, "no_permission"),
        (answered(429, "TooManyRequests", "Slow down."), Kind.THROTTLED, "throttled"),
        (GraphAnswer(Fate.LOST), Kind.IN_DOUBT, "in_doubt"),
        (answered(504, "UnknownError", ""), Kind.IN_DOUBT, "in_doubt"),
    ],
)
def test_what_graph_says_of_a_change(answer: GraphAnswer, kind: Kind, cause: str) -> None:
    """A row ends with a sentence, waits for the directory, or holds this step alone."""
    verdict: Verdict = PROFILE.judge(Asked(0, ROW), Call(GraphRequest("0", "PATCH", "/users/x"), (0,)), answer)
    assert (verdict.kind, verdict.cause) == (kind, cause)
    assert kind is Kind.DONE or verdict.message
    if kind is Kind.HOLD:
        assert verdict.hold is HoldKind.PERMISSION
        assert "User.ReadUpdate.All" in verdict.message


def test_a_dry_run_tells_the_missing_right() -> None:
    """Either permission will do."""
    from worker.operations.foreseen import Seen, Would

    told = [
        PROFILE.foresee(ROW, "ann@partner.example", Seen(), TenantRules(roles=roles)).would
        for roles in (
            frozenset({"User.Invite.All"}),
            frozenset({"User.ReadUpdate.All"}),
            frozenset({"User.ReadWrite.All"}),
            None,
        )
    ]
    assert told == [Would.REFUSE, Would.DO, Would.DO, Would.DO]
