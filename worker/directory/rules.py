"""A tenant is asked beforehand what it says of its guests (`TenantRules`): who may invite, domains,
lists, partners, its bin.

Every part may be unreadable by itself: it is None then, and named among `gaps` with the permission
that would open it. Reading is pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from config.values import fold_domain
from worker.addresses import fold_address
from worker.directory.reader import Asker, Unread
from worker.graph.verdicts import READ_DELETED, READ_ORGANIZATION
from worker.ledger.why_waiting import Stop
from worker.operations.tenant_rules import Gap, TenantRules

if TYPE_CHECKING:
    from worker.operations.operation import Channel
    from worker.services import Services

_DELETED = "/directory/deletedItems/microsoft.graph.user?$select=id,mail,otherMails,deletedDateTime&$top=999"


async def fetch_rules(services: Services, channel: Channel) -> TenantRules:
    """Read all that the app may read of what decides about an operation. Raises `TokenRefused`."""
    asker, gaps = Asker(services, channel.connection), list[Gap]()
    token = await asker.take_token(channel.connection)
    roles = None if isinstance(token, Stop) else token.roles
    if not channel.operation.asks_rules:
        return TenantRules(roles=roles)

    def kept(body: Any, what: str, permission: str) -> Any:
        if isinstance(body, Unread):
            gaps.append(Gap(what, permission if body.may_not else "", body.said))
            return None
        return body

    policy = kept(
        await asker.read("/policies/authorizationPolicy"), "Who may invite (allowInvitesFrom)", "Policy.Read.All"
    )
    owned = await asker.read("/organization?$select=verifiedDomains", READ_ORGANIZATION)
    if isinstance(owned, Unread):
        owned = await asker.read("/domains", READ_ORGANIZATION)
    owned = kept(owned, "The tenant's own domains", "Organization.Read.All (or Domain.Read.All)")
    lists = await asker.read_all("/policies/b2bManagementPolicies", version="beta")
    if isinstance(lists, Unread):
        older = await asker.read_all("/legacy/policies", version="beta")
        lists = lists if isinstance(older, Unread) else older
    lists = kept(lists, "Allow and deny lists of domains", "Policy.Read.B2BManagementPolicy")
    default = await asker.read("/policies/crossTenantAccessPolicy/default")
    partners = await asker.read_all("/policies/crossTenantAccessPolicy/partners")
    unread = default if isinstance(default, Unread) else partners
    kept(unread, "Cross-tenant access settings", "Policy.Read.All")
    deleted = await asker.read_all(_DELETED, READ_DELETED)
    deleted = kept(deleted, "Recently deleted users", "User.Read.All")
    allowed, blocked = read_lists(lists or ())
    states = {} if isinstance(partners, Unread) else read_partners(partners)
    return TenantRules(
        roles=roles,
        invites_from=str(policy["allowInvitesFrom"]) if policy and policy.get("allowInvitesFrom") else None,
        domains=read_domains(owned) if owned is not None else None,
        allowed=allowed,
        blocked=blocked,
        blocked_partners=frozenset(tenant for tenant, is_blocked in states.items() if is_blocked),
        allowed_partners=frozenset(tenant for tenant, is_blocked in states.items() if is_blocked is False),
        all_partners_blocked=not isinstance(default, Unread) and is_inbound_blocked(default) is True,
        deleted=read_deleted(deleted or ()),
        gaps=tuple(gaps),
    )


async def ask_tenant_of(asker: Asker, domain: str) -> str | Unread:
    """Return the id of the tenant that a domain belongs to."""
    name = quote(domain.replace("'", "''"), safe="'")
    body = await asker.read(f"/tenantRelationships/findTenantInformationByDomainName(domainName='{name}')")
    return body if isinstance(body, Unread) else str(body.get("tenantId")).lower()


def read_domains(body: Any) -> frozenset[str]:
    """Return the verified domains of `GET /organization` or `GET /domains`."""
    names = set[str]()
    for value in body.get("value") or ():
        if not isinstance(value, dict):
            continue
        if "verifiedDomains" in value:
            names |= {str(d["name"]) for d in value["verifiedDomains"] or () if isinstance(d, dict) and d.get("name")}
        elif value.get("isVerified") and value.get("id"):
            names.add(str(value["id"]))
    return frozenset(fold_domain(name) for name in names)


def read_lists(policies: Iterable[Any]) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Return the allow list (None: there is none) and the deny list; a policy's definition is JSON
    in a text.

    https://learn.microsoft.com/graph/api/resources/b2bmanagementpolicy
    """
    allowed, blocked = set[str](), set[str]()
    for policy in policies:
        for text in (policy.get("definition") or ()) if isinstance(policy, dict) else ():
            try:
                whole = json.loads(text)["B2BManagementPolicy"]["InvitationsAllowedAndBlockedDomainsPolicy"]
                allowed |= {fold_domain(str(name)) for name in whole.get("AllowedDomains") or ()}
                blocked |= {fold_domain(str(name)) for name in whole.get("BlockedDomains") or ()}
            except (ValueError, LookupError, TypeError, AttributeError):
                continue  # another kind of policy
    return (frozenset(allowed) or None), frozenset(blocked)


def read_partners(values: Iterable[Any]) -> dict[str, bool | None]:
    """Return for each partner's tenant whether its people are kept out; None: as by default."""
    return {
        str(value["tenantId"]).lower(): is_inbound_blocked(value)
        for value in values
        if isinstance(value, dict) and value.get("tenantId")
    }


def is_inbound_blocked(settings: Any) -> bool | None:
    """Tell whether a configuration lets nobody of the other side in; None where it does not say."""
    inbound = settings.get("b2bCollaborationInbound") if isinstance(settings, dict) else None
    people = inbound.get("usersAndGroups") if isinstance(inbound, dict) else None
    if not isinstance(people, dict):
        return None
    everybody = any(isinstance(t, dict) and t.get("target") == "AllUsers" for t in people.get("targets") or ())
    return people.get("accessType") == "blocked" and everybody


def read_deleted(values: Iterable[Any]) -> dict[str, str]:
    """Return the addresses of deleted users, folded, each with the day of its deletion."""
    found: dict[str, str] = {}
    for value in values:
        if isinstance(value, dict):
            for address in (value.get("mail"), *(value.get("otherMails") or ())):
                if isinstance(address, str):
                    found[fold_address(address)] = str(value.get("deletedDateTime") or "")[:10]
    return found
