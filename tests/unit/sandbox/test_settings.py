"""What a tenant says of itself: it agrees with what an invitation meets, and nobody reads it
without the permission.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

READS = {
    "/organization": "Organization.Read.All",
    "/domains": "Domain.Read.All",
    "/policies/authorizationPolicy": "Policy.Read.All",
    "/policies/crossTenantAccessPolicy/default": "Policy.Read.All",
    "/policies/crossTenantAccessPolicy/partners": "Policy.Read.All",
    "/beta/policies/b2bManagementPolicies": "Policy.Read.B2BManagementPolicy",
    "/beta/legacy/policies": "Policy.Read.All",
    "/tenantRelationships/findTenantInformationByDomainName(domainName=%27partner.example%27)": (
        "CrossTenantInformation.ReadBasic.All"
    ),
    "/directory/deletedItems/microsoft.graph.user": "User.Read.All",
    "/applications(appId='{client_id}')": "Application.Read.All",
}


@pytest.mark.parametrize(("target", "role"), READS.items())
def test_each_needs_its_permission(desk: Any, target: str, role: str) -> None:
    """200 with the documented permission, 403 with every other one of them."""
    target = target.replace("{client_id}", desk.world.apps[0][1].client_id)
    desk.roles = frozenset({role})
    assert desk.read(target)[0] == 200
    desk.roles = frozenset({"User.Invite.All", *READS.values()} - {role})
    status, body = desk.read(target)
    assert (status, body["error"]["code"]) == (403, "Authorization_RequestDenied")


def test_a_registration_shows_when_its_secrets_end_and_none_of_them(desk: Any) -> None:
    """The end and the first three characters, as Graph does."""
    app = desk.world.apps[0][1]
    secret = next(iter(app.secrets))
    app.secrets[secret] = 1_800_000_000.0
    desk.roles = frozenset({"Application.Read.All"})
    status, body = desk.read(f"/applications(appId='{app.client_id}')?$select=passwordCredentials,keyCredentials")
    assert status == 200
    [shown] = body["passwordCredentials"]
    assert (shown["hint"], shown["endDateTime"]) == (secret[:3], "2027-01-15T08:00:00Z")
    assert secret not in json.dumps(body)
    assert desk.read("/applications(appId='00000000-0000-4000-8000-000000000000')")[0] == 404


def test_the_lists_agree_with_invitations(desk: Any) -> None:
    """A domain that the policy names as blocked is refused; with an allow list every other one
    is.
    """
    desk.roles = frozenset({"User.Invite.All", "Policy.Read.B2BManagementPolicy"})
    assert _lists(desk) == {"BlockedDomains": ["blocked.example"]}
    assert desk.invite("a@blocked.example")[0] == 400
    assert desk.invite("a@fabrikam.example")[0] == 201
    desk.tenant.allowed_domains = frozenset({"partner.example"})
    assert _lists(desk) == {"AllowedDomains": ["partner.example"]}
    assert desk.invite("new@partner.example")[0] == 201
    status, body = desk.invite("b@fabrikam.example")
    assert status == 400
    assert "not allowed" in body["error"]["message"]


def test_a_blocked_partner_is_found_by_its_domain(desk: Any) -> None:
    """The tenant behind a cross-tenant refusal stands among the partners; other domains have other
    tenants, or none.
    """
    desk.roles = frozenset(READS.values())
    partners = desk.read("/policies/crossTenantAccessPolicy/partners")[1]["value"]
    assert [p["b2bCollaborationInbound"]["usersAndGroups"]["accessType"] for p in partners] == ["blocked"]
    find = "/tenantRelationships/findTenantInformationByDomainName(domainName='{}')"
    assert desk.read(find.format("crosstenant.example"))[1]["tenantId"] == partners[0]["tenantId"]
    assert desk.read(find.format("partner.example"))[1]["tenantId"] != partners[0]["tenantId"]
    assert desk.read(find.format("nobody.example"))[0] == 404


def _lists(desk: Any) -> Any:
    policy = desk.read("/beta/policies/b2bManagementPolicies")[1]["value"][0]
    return json.loads(policy["definition"][0])["B2BManagementPolicy"]["InvitationsAllowedAndBlockedDomainsPolicy"]
