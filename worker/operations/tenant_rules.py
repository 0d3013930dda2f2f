"""A tenant's rules tell who may invite, who is let in, who was deleted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INVITE_ROLES = frozenset({"User.Invite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"})
"""Any of these application permissions lets an app invite.
https://learn.microsoft.com/graph/api/invitation-post
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap is something that could not be looked at, and what would let us look."""

    what: str
    permission: str = ""  # '' where it is no permission that is missing
    why: str = ""

    def __str__(self) -> str:
        if self.permission:
            return f"{self.what}: grant the app {self.permission}, with admin consent."
        return f"{self.what}: {self.why}."


@dataclass(frozen=True, slots=True)
class TenantRules:
    """A tenant's rules as they were read. `roles`: the token's, None where it does not show them;
    domains and addresses are folded.
    """

    roles: frozenset[str] | None = None
    invites_from: str | None = None
    domains: frozenset[str] | None = None
    allowed: frozenset[str] | None = None  # an allow list, where there is one
    blocked: frozenset[str] = frozenset()
    blocked_partners: frozenset[str] = frozenset()  # tenant ids
    allowed_partners: frozenset[str] = frozenset()  # of use where all others are blocked
    all_partners_blocked: bool = False
    deleted: Mapping[str, str] = field(default_factory=dict, repr=False)  # address → when
    gaps: tuple[Gap, ...] = ()

    @property
    def closed(self) -> str:
        """Why the app may invite nobody at all: "" (as far as is known it may), "permission" or
        "policy".
        """
        if self.roles is not None and not self.roles & INVITE_ROLES:
            return "permission"
        if self.invites_from == "none":
            return "policy"
        if self.invites_from == "adminsAndGuestInviters" and self.roles is not None:
            # Microsoft's page says that it fails for apps; reports say that this one permission
            # opens it (docs/entra-setup.md)
            return "" if "User.Invite.All" in self.roles else "policy"
        return ""

    @property
    def asks_for_partners(self) -> bool:
        """Whether it matters which tenant a domain belongs to."""
        return bool(self.blocked_partners or self.all_partners_blocked)

    def refuses_tenant(self, tenant_id: str) -> bool:
        """Whether cross-tenant access settings keep out the people of a tenant."""
        blocked = tenant_id in self.blocked_partners
        return blocked or (self.all_partners_blocked and tenant_id not in self.allowed_partners)

    def refuses_domain(self, domain: str) -> bool:
        """Whether an allow or deny list keeps a domain out."""
        return domain in self.blocked or (self.allowed is not None and domain not in self.allowed)
