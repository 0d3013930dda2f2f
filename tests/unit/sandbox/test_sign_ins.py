"""When guests signed in is read as Graph lets it be read: slowly, with P1, with a permission of its
own; and sometimes it is nothing but nulls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from sandbox.control.api import Control
from sandbox.control.users import change_user
from sandbox.options import QuotaOptions

LISTING = "/users?$filter=userType eq 'Guest'&$select=id,mail,signInActivity&$top=500"
READS = frozenset({"User.Read.All", "AuditLog.Read.All"})
LATELY = {"lastSignInDateTime": "2026-01-02T03:04:05Z"}


def _say(desk: Any, **policy: Any) -> None:
    status, answer = Control(desk.world).answer("POST", "policy", "", "application/json", orjson.dumps(policy))
    assert status == 200, answer


@pytest.fixture
def tenant(desk: Any) -> Any:
    """A desk with a guest who signed in once."""
    change_user(desk.world, desk.tenant, {"action": "add", "email": "in@partner.example", "sign_ins": LATELY})
    desk.roles = READS
    return desk


def test_dates_want_premium(tenant: Any) -> None:
    """Without P1 a listing of them is refused, one without them is not; the plan says so
    beforehand.
    """
    _say(tenant, p1=False)
    status, body = tenant.read(LISTING)
    assert (status, body["error"]["code"]) == (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")
    user = tenant.tenant.find("in@partner.example")
    assert tenant.read(f"/users/{user.id}?$select=signInActivity")[0] == 403
    assert tenant.read(LISTING.replace(",signInActivity", ""))[0] == 200
    tenant.roles = frozenset({"Organization.Read.All"})
    assert tenant.read("/organization?$select=assignedPlans")[1]["value"][0]["assignedPlans"] == []
    _say(tenant, p1=True)
    plans = tenant.read("/organization?$select=assignedPlans")[1]["value"][0]["assignedPlans"]
    assert "41781fb2-bc02-4b7c-bd55-b576c07bb09d" in [
        plan["servicePlanId"] for plan in plans if plan["capabilityStatus"] == "Enabled"
    ]


def test_a_tenant_may_show_nobodys_dates(tenant: Any) -> None:
    """They are null for all, and nothing says why."""
    shown = {user["mail"]: user["signInActivity"] for user in tenant.read(LISTING)[1]["value"]}
    assert shown["in@partner.example"] == LATELY
    _say(tenant, sign_ins=False)
    assert {str(user["signInActivity"]) for user in tenant.read(LISTING)[1]["value"]} == {"None"}


def test_dates_are_read_ten_times_a_minute_by_one_application_in_all_its_tenants(make_desk: Callable[..., Any]) -> None:
    """On the quota's clock; a listing without them does not count."""
    desk = make_desk(quota=QuotaOptions(time_scale=60.0), tenants=2, shared_app=True)
    desk.roles = READS
    now_s = 0.0
    desk.world.clock._monotonic = lambda: desk.world.clock._started_s + now_s  # a clock that stands
    assert [desk.ask("GET", LISTING).status for _ in range(11)] == [200] * 10 + [429]
    desk.world.apps.reverse()  # the other tenant asks
    refused = desk.ask("GET", LISTING)
    assert (refused.status, 0 < float(refused.headers["Retry-After"]) <= 0.1) == (429, True)
    assert desk.ask("GET", LISTING.replace(",signInActivity", "")).status == 200
    now_s = 0.11  # more than six seconds of quota
    assert [desk.ask("GET", LISTING).status for _ in range(2)] == [200, 429]
