"""What a tenant says of itself: its name and domains, who may invite, which domains and which
partners it refuses.

They show what `invitations` goes by, so that whoever asks first is told what an invitation would
meet. Each needs a permission of its own. The lists of domains are served where Graph has them,
under /beta. https://learn.microsoft.com/graph/api/resources/b2bmanagementpolicy
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from sandbox import errors
from sandbox.directory import Directory, Tenant
from sandbox.errors import GraphError, bad_request
from sandbox.ids import guid
from sandbox.resources.applications import READ_APPLICATIONS, find_app
from sandbox.tokens import Caller

_ROLES = {
    "organization": {
        "Organization.Read.All",
        "Organization.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    },
    "domains": {"Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
    "policy": {"Policy.Read.All", "Policy.ReadWrite.Authorization"},
    "cross_tenant": {"Policy.Read.All", "Policy.ReadWrite.CrossTenantAccess"},
    "tenant_information": {"CrossTenantInformation.ReadBasic.All"},
    "/beta/policies/b2bManagementPolicies": {"Policy.Read.B2BManagementPolicy", "Policy.ReadWrite.B2BManagementPolicy"},
    "/beta/legacy/policies": {"Policy.Read.All"},
    "application": READ_APPLICATIONS,
}
_P1 = "41781fb2-bc02-4b7c-bd55-b576c07bb09d"
_P2 = "eec0eb4f-6444-4f95-aba0-50c24d67f998"
"""Service plans of Entra ID P1 and P2.
https://learn.microsoft.com/entra/identity/users/licensing-service-plan-reference
"""
_APP_ID = re.compile(r"/applications\(appId='([^']+)'\)")
_DOMAIN_NAME = re.compile(r".*\(domainName='((?:[^']|'')+)'\)")


class TenantSettings:
    """The settings side of one sandbox's tenants: read only, the control API changes them."""

    def __init__(self, directory: Directory) -> None:
        self.base_url = ""
        self._directory = directory

    def read(self, caller: Caller, operation: str, path: str, query: str) -> dict[str, Any]:
        """Answer a GET of one of these. Raises `GraphError`, a 403 where it may not be read."""
        if caller.roles.isdisjoint(_ROLES[path if operation == "b2b_policy" else operation]):
            raise errors.not_allowed()
        if operation == "organization":
            return self._organization(caller, query)
        if operation == "policy":
            return self._authorization_policy(caller, query)
        if operation == "application":
            return self._application(caller, path, query)
        if query:
            raise bad_request("This sandbox takes no query options here.", "Request_UnsupportedQuery")
        if operation == "domains":
            return self._list("domains", [_domain(caller.tenant, name) for name in caller.tenant.domains])
        if operation == "b2b_policy":
            return self._list("policies/b2bManagementPolicies", [_b2b_policy(caller.tenant)])
        if operation == "tenant_information":
            return self._tenant_information(caller.tenant, path)
        if path.endswith("/default"):
            return {"isServiceDefault": True, "b2bCollaborationInbound": _inbound("allowed")}
        partners = [name for name, kind in caller.tenant.refused_domains.items() if kind == "cross_tenant"]
        found = [{"tenantId": _tenant_id(name), "b2bCollaborationInbound": _inbound("blocked")} for name in partners]
        return self._list("policies/crossTenantAccessPolicy/partners", found)

    def _organization(self, caller: Caller, query: str) -> dict[str, Any]:
        tenant = caller.tenant
        everything: dict[str, Any] = {
            "id": tenant.id,
            "displayName": tenant.name,
            "tenantType": "AAD",
            "countryLetterCode": "DE",
            "preferredLanguage": "en",
            "technicalNotificationMails": [f"ada@{tenant.domains[0]}"],
            "assignedPlans": [_plan(name, plan) for name, plan, has in _plans(tenant) if has],
            "directorySizeQuota": {"used": len(tenant.users), "total": tenant.max_users or 300_000},
            "verifiedDomains": [
                {
                    "capabilities": "Email, OfficeCommunicationsOnline",
                    "isDefault": position == 0,
                    "isInitial": domain == tenant.initial_domain,
                    "name": domain,
                    "type": "Managed",
                }
                for position, domain in enumerate(tenant.domains)
            ],
        }
        return {
            "@odata.context": f"{self.base_url}/v1.0/$metadata#organization",
            "value": [_selected(everything, query, "organization")],
        }

    def _authorization_policy(self, caller: Caller, query: str) -> dict[str, Any]:
        everything = {
            "id": "authorizationPolicy",
            "displayName": "Authorization Policy",
            "allowInvitesFrom": caller.tenant.allow_invites_from,
            "allowedToSignUpEmailBasedSubscriptions": True,
            "guestUserRoleId": "10dae51f-b6af-4016-8d66-8c2a99b929b3",
        }
        return {
            "@odata.context": f"{self.base_url}/v1.0/$metadata#policies/authorizationPolicy/$entity",
            **_selected(everything, query, "authorizationPolicy"),
        }

    def _application(self, caller: Caller, path: str, query: str) -> dict[str, Any]:
        """Show a registration: each secret's first characters and end, never the secret.
        https://learn.microsoft.com/graph/api/application-get
        """
        match = _APP_ID.fullmatch(unquote(path))
        everything = find_app(caller.tenant, match[1] if match else "", self._directory.clock)
        return {
            "@odata.context": f"{self.base_url}/v1.0/$metadata#applications/$entity",
            **_selected(everything, query, "application"),
        }

    def _tenant_information(self, tenant: Tenant, path: str) -> dict[str, Any]:
        match = _DOMAIN_NAME.fullmatch(unquote(path))
        if not match:
            raise bad_request("Expected findTenantInformationByDomainName(domainName='...').")
        domain = match[1].replace("''", "'").lower()
        found = self._directory.tenant(domain)
        if found is None and domain not in {*tenant.refused_domains, "partner.example"}:
            raise GraphError(404, "Request_ResourceNotFound", "No tenant has a verified domain of this name.")
        return {
            "@odata.context": f"{self.base_url}/v1.0/$metadata#microsoft.graph.tenantInformation",
            "tenantId": found.id if found else _tenant_id(domain),
            "federationBrandName": None,
            "displayName": found.name if found else domain,
            "defaultDomainName": domain,
        }

    def _list(self, name: str, values: list[dict[str, Any]]) -> dict[str, Any]:
        return {"@odata.context": f"{self.base_url}/v1.0/$metadata#{name}", "value": values}


def _tenant_id(domain: str) -> str:
    """Return the id of the tenant that a partner's domain belongs to."""
    return guid(f"partner|{domain}")


def _domain(tenant: Tenant, name: str) -> dict[str, Any]:
    default, initial = name == tenant.domains[0], name == tenant.initial_domain
    return {
        "id": name,
        "authenticationType": "Managed",
        "isAdminManaged": True,
        "isDefault": default,
        "isInitial": initial,
        "isVerified": True,
        "supportedServices": ["Email"],
    }


def _b2b_policy(tenant: Tenant) -> dict[str, Any]:
    """Show the allow or deny list. The definition is JSON in a text, as Graph has it."""
    lists: dict[str, Any] = {}
    if tenant.allowed_domains is not None:
        lists["AllowedDomains"] = sorted(tenant.allowed_domains)
    else:
        lists["BlockedDomains"] = sorted(name for name, kind in tenant.refused_domains.items() if kind == "denied")
    definition = {"B2BManagementPolicy": {"InvitationsAllowedAndBlockedDomainsPolicy": lists}}
    return {
        "id": guid(f"b2b|{tenant.id}"),
        "displayName": "B2BManagementPolicy",
        "type": "B2BManagementPolicy",
        "isOrganizationDefault": True,
        "definition": [orjson.dumps(definition).decode()],
    }


def _inbound(access: str) -> dict[str, Any]:
    return {
        "usersAndGroups": {"accessType": access, "targets": [{"target": "AllUsers", "targetType": "user"}]},
        "applications": {"accessType": access, "targets": [{"target": "AllApplications", "targetType": "application"}]},
    }


def _plans(tenant: Tenant) -> tuple[tuple[str, str, bool], ...]:
    return ("AADPremiumService", _P1, tenant.has_p1), ("AADPremiumService", _P2, tenant.has_p1 and tenant.has_p2)


def _plan(service: str, plan: str) -> dict[str, Any]:
    return {
        "assignedDateTime": "2025-01-01T00:00:00Z",
        "capabilityStatus": "Enabled",
        "service": service,
        "servicePlanId": plan,
    }


def _selected(everything: dict[str, Any], query: str, type_name: str) -> dict[str, Any]:
    """Apply `$select`, the one query option these two resources take here."""
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise bad_request("The query string is malformed.") from None
    if not options:
        return everything
    if len(options) > 1 or options[0][0] != "$select":
        raise bad_request(f"The query parameter '{options[-1][0]}' is not supported.", "Request_UnsupportedQuery")
    names = [name.strip() for name in options[0][1].split(",")]
    for name in names:
        if name not in everything:
            raise bad_request(
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                f"'microsoft.graph.{type_name}'."
            )
    return {name: everything[name] for name in names}
