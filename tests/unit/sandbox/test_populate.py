"""A tenant is filled with guests of every kind in one go, and its clock put forward by days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from sandbox.control.api import Control
from sandbox.control.populate import KINDS
from sandbox.control.users import change_user

SELECT = "id,mail,userType,creationType,externalUserState,accountEnabled,createdDateTime,signInActivity"
READS = frozenset({"User.Read.All", "AuditLog.Read.All"})
DAY_S = 86_400


def post(desk: Any, name: str, **body: Any) -> Any:
    """Ask the control API for a change; its answer, or the status of a refusal."""
    status, answer = Control(desk.world).answer("POST", name, "", "application/json", orjson.dumps(body))
    return answer if status == 200 else status


def test_as_many_as_asked_for_are_made_of_every_kind(desk: Any) -> None:
    """Each is told by its address, in its own number; the same again with another seed of names."""
    before = len(desk.tenant.users)
    told = post(desk, "populate", count=1_000)["kinds"]
    assert (len(desk.tenant.users) - before, set(told)) == (1_000, set(KINDS))
    addresses = [address for found in told.values() for address in found]
    assert len(set(addresses)) == 1_000
    assert all(desk.tenant.find(address) for address in addresses)
    assert all(told.values())
    ids = [desk.tenant.find(address).id for address in addresses]
    assert post(desk, "populate", count=1_000) == 400
    assert len(desk.tenant.users) - before == 1_000
    desk.world.reset()
    assert post(desk, "populate", count=1_000)["kinds"] == told
    assert [desk.tenant.find(address).id for address in addresses] == ids


def test_each_kind_is_what_it_says(desk: Any) -> None:
    """As Graph shows them."""
    desk.roles = READS
    kinds = ["pending_old", "failed_newer", "unknown_undated", "member", "internal", "disabled"]
    told = post(desk, "populate", count=6, kinds=kinds)["kinds"]
    shown = {}
    for kind in kinds:
        shown[kind] = desk.read(f"/users/{desk.tenant.find(told[kind][0]).id}?$select={SELECT}")[1]
    now = datetime.now(UTC)
    assert shown["pending_old"]["externalUserState"] == "PendingAcceptance"
    assert now - datetime.fromisoformat(shown["pending_old"]["createdDateTime"]) > timedelta(days=59)
    dates = {name: now - datetime.fromisoformat(at) for name, at in shown["failed_newer"]["signInActivity"].items()}
    assert dates["lastSignInDateTime"] < timedelta(days=6) < dates["lastSuccessfulSignInDateTime"]
    unknown = shown["unknown_undated"]
    assert (unknown["externalUserState"], unknown["createdDateTime"], unknown["signInActivity"]) == (None, None, None)
    assert (shown["member"]["userType"], shown["internal"]["creationType"]) == ("Member", None)
    assert shown["disabled"]["accountEnabled"] is False


@pytest.mark.parametrize(
    "bad", [{"count": -1}, {"count": "9"}, {"count": 5, "kinds": ["odd"]}, {"count": 5, "kinds": {}}]
)
def test_a_mixture_that_cannot_be_is_a_sentence(desk: Any, bad: dict[str, Any]) -> None:
    """And nobody is made."""
    before = len(desk.tenant.users)
    assert post(desk, "populate", **bad) == 400
    assert len(desk.tenant.users) == before


def test_the_clock_goes_forward_and_all_is_older(desk: Any) -> None:
    """The bin empties, a secret ends, a token stays good; a reset brings the day back."""
    desk.roles = READS
    user = desk.tenant.find("linus@partner.example")
    desk.tenant.remove(user, desk.world.clock.stamp())
    token, _ = desk.world.tokens.mint(desk.tenant, desk.world.apps[0][1], "aud", certificate=False)
    was = desk.world.clock.stamp()
    answer = post(desk, "clock", forward_s=31 * DAY_S)
    assert (answer["ahead_s"], answer["now"] > was) == (31 * DAY_S, True)
    assert post(desk, "clock", forward_s=-1) == 400
    assert desk.read(f"/directory/deletedItems/{user.id}")[0] == 404
    assert desk.world.tokens.verify(f"Bearer {token}").tenant is desk.tenant
    change_user(desk.world, desk.tenant, {"action": "accept", "email": "pending@partner.example"})
    assert desk.tenant.find("pending@partner.example").state_changed_at == desk.world.clock.stamp()
    desk.world.reset()
    assert desk.world.clock.forward_s == 0


@pytest.mark.parametrize(
    ("how", "moved"),
    [
        ("", {"lastSignInDateTime", "lastSuccessfulSignInDateTime"}),
        ("failed", {"lastSignInDateTime"}),
        ("client", {"lastNonInteractiveSignInDateTime"}),
    ],
)
def test_a_guest_signs_in(desk: Any, how: str, moved: set[str]) -> None:
    """Now, by the sandbox's clock; the other dates stay."""
    post(desk, "clock", forward_s=DAY_S)
    email = "linus@partner.example"
    change_user(desk.world, desk.tenant, {"action": "change", "email": email, "sign_ins": {"lastSignInDateTime": "x"}})
    change_user(desk.world, desk.tenant, {"action": "sign_in", "email": email, "how": how})
    dates = desk.tenant.find(email).sign_ins
    assert {name for name, at in dates.items() if at == desk.world.clock.stamp()} == moved
