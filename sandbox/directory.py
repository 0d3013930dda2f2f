"""The tenants the sandbox stands in for: their users, domains, applications and what an invitation
may meet there.

Everything is deterministic for a seed: tenant, client and object ids are hashes of names, so that a
rehearsal can be repeated and two runs compared. Secrets are not: they are random and live in files
of mode 0600.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from zlib import crc32

import idna

from sandbox.certificates import AppCertificate
from sandbox.clock import Clock
from sandbox.groups import Group, seed_groups
from sandbox.ids import guid
from sandbox.options import SecondsRange

PENDING = "PendingAcceptance"
ACCEPTED = "Accepted"
REFUSED_DOMAINS = {
    "blocked.example": "denied",
    "crosstenant.example": "cross_tenant",
    "crosscloud.example": "cross_cloud",
    "uninvitable.example": "uninvitable",
}
"""Domains that every tenant refuses, and which of Graph's refusals each one shows."""


@dataclass(slots=True)
class User:
    """One user object: what Graph shows of it, and what the sandbox keeps beside it (ticket,
    invitations, visibility).
    """

    id: str
    mail: str | None
    display_name: str
    upn: str
    user_type: str = "Guest"
    state: str | None = PENDING
    state_changed_at: str | None = None
    created_at: str = ""
    enabled: bool = True
    creation_type: str | None = "Invitation"
    other_mails: tuple[str, ...] = ()
    proxy_addresses: tuple[str, ...] = ()
    visible_s: float = 0.0
    known: dict[str, float] | None = None
    ticket: str = ""
    redirect_url: str = ""
    latency: SecondsRange | None = None
    invitations: int = 0
    mails: int = 0
    deleted_at: str | None = None
    extra: dict[str, object] | None = None
    role: str = ""  # a directory role, `assigned` or `eligible`
    sponsors: tuple[str, ...] = ()
    sign_ins: dict[str, str] | None = None

    def known_s(self, part: str) -> float:
        """Return when a part of the tenant (`options.PARTS`) learns of this user."""
        return self.known.get(part, self.visible_s) if self.known else self.visible_s

    def settle(self) -> None:
        """Let every part of the tenant know this user."""
        self.visible_s, self.known = 0.0, None

    def addresses(self) -> Iterator[str]:
        """Yield every address this user can be found by, folded."""
        yield self.upn.lower()
        if self.mail:
            yield self.mail.lower()
        for other in self.other_mails:
            yield other.lower()
        for proxy in self.proxy_addresses:
            yield proxy.lower().removeprefix("smtp:")


@dataclass(frozen=True, slots=True)
class Trust:
    """A federated credential: whose token an application takes in a secret's place."""

    issuer: str
    subject: str
    audience: str


@dataclass(slots=True)
class App:
    """An application as registered in one tenant: its roles and the credentials it may sign in
    with.

    `secrets` maps a secret to the Unix second it expires at, None for never.
    """

    client_id: str
    roles: tuple[str, ...]
    secrets: dict[str, float | None] = field(default_factory=dict)
    certificates: list[AppCertificate] = field(default_factory=list)
    federated: tuple[Trust, ...] = ()
    enabled: bool = True
    consented: bool = True
    """Whether the tenant's administrator has consented: until then Entra knows it not there."""
    secret_file: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """Another application of a tenant, which nobody signs in with here: name → when it ends, of its
    secrets and certificates.
    """

    app_id: str
    name: str
    secrets: tuple[tuple[str, str], ...] = ()
    certificates: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Tenant:
    """One directory. `abuse_after` counts down invitations until Microsoft's detector blocks the
    tenant; `latency`: its own, else everybody's.

    `spelling`: how it keeps an international domain, one of `SPELLINGS`. What Entra does is not
    documented.
    """

    id: str
    name: str
    domains: tuple[str, ...]
    initial_domain: str
    apps: dict[str, App] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    by_address: dict[str, list[User]] = field(default_factory=dict)
    deleted: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    list_addresses: set[str] = field(default_factory=set)
    """Addresses of groups and distribution lists, which nobody can be invited by."""
    contacts: frozenset[str] = frozenset()
    registrations: dict[str, Registration] = field(default_factory=dict)
    refused_domains: dict[str, str] = field(default_factory=lambda: dict(REFUSED_DOMAINS))
    allowed_domains: frozenset[str] | None = None
    """An allow list: only these are invited. Entra has this or a deny list, never both."""
    allow_invites_from: str = "everyone"
    blocked_for_abuse: bool = False
    abuse_after: int | None = None
    max_users: int | None = None
    latency: SecondsRange | None = None
    spelling: str = "given"
    mailboxes: frozenset[str] = frozenset()
    """Addresses, folded, that mail can be sent from."""
    mail_scope: frozenset[str] | None = None
    """The mailboxes that this application may send from, Mail.Send or not; None: all, with it."""
    has_p1: bool = True
    """Whether it has Entra ID P1 (or P2), without which nobody's dates of signing in are read."""
    shows_sign_ins: bool = True
    """Whether dates of signing in are shown; else they are null for everybody, without a word."""
    has_p2: bool = True
    """Whether it has Entra ID P2, without which nobody is eligible for a role."""
    sponsors_taken: bool = True
    """Whether sponsors named in an invitation are taken; else they are ignored without a word."""
    invitations: int = 0
    throttled: int = 0
    mails: int = 0
    removed: int = 0
    """How many users were ever taken out: whoever is made again is somebody new."""

    def add(self, user: User) -> None:
        """Put a user into the directory and its address index."""
        self.users[user.id] = user
        for address in set(user.addresses()):
            self.by_address.setdefault(address, []).append(user)

    def remove(self, user: User, deleted_at: str | None) -> None:
        """Take a user out: into the bin (restorable for 30 days), or for good where `deleted_at` is
        None. Groups keep who is in the bin, and do not show them.
        """
        self.removed += 1
        self.take_out(user)
        if deleted_at is not None:
            user.deleted_at = deleted_at
            self.deleted[user.id] = user
        else:
            self.purge(user)

    def take_out(self, user: User) -> None:
        """Take a user out of the directory and its address index."""
        self.users.pop(user.id, None)
        for address in set(user.addresses()):
            holders = self.by_address.get(address)
            if holders and user in holders:
                holders.remove(user)
                if not holders:
                    del self.by_address[address]

    def restore(self, user: User) -> None:
        """Put a user of the bin back, as it was."""
        del self.deleted[user.id]
        user.deleted_at = None
        self.add(user)

    def purge(self, user: User) -> None:
        """Forget a user who is in the directory no longer."""
        self.deleted.pop(user.id, None)
        for group in self.groups.values():
            group.members.pop(user.id, None)

    def empty_bin(self, before: str) -> None:
        """Forget whoever was deleted before an instant."""
        for user in [user for user in self.deleted.values() if (user.deleted_at or "") < before]:
            self.purge(user)

    def add_group(self, group: Group) -> None:
        """Put a group into the directory; its address can no longer be invited."""
        self.groups[group.id] = group
        if group.mail:
            self.list_addresses.add(group.mail.lower())

    def reindex(self, user: User, before: Iterable[str]) -> None:
        """Renew the index after a user's addresses changed from `before`."""
        for address in set(before):
            holders = self.by_address.get(address, [])
            if user in holders:
                holders.remove(user)
        for address in set(user.addresses()):
            holders = self.by_address.setdefault(address, [])
            if user not in holders:
                holders.append(user)

    def find(self, address: str) -> User | None:
        """Return the user who holds an address, visible or not: writes are known at once."""
        holders = self.by_address.get(address.lower())
        return holders[0] if holders else None


class Directory:
    """Every tenant of a sandbox, by id and by domain."""

    def __init__(self, seed: int, clock: Clock, replication: SecondsRange, lags: dict[str, SecondsRange]) -> None:
        self.seed = seed
        self.clock = clock
        self.replication = replication
        self.lags = lags
        self.tenants: dict[str, Tenant] = {}
        self._by_domain: dict[str, Tenant] = {}

    def tenant(self, name: str) -> Tenant | None:
        """Return a tenant by its id or a verified domain: the login endpoint accepts both."""
        return self.tenants.get(name.lower()) or self._by_domain.get(name.lower())

    def add_tenant(self, tenant: Tenant) -> Tenant:
        """Add a tenant."""
        self.tenants[tenant.id] = tenant
        for domain in tenant.domains:
            self._by_domain[domain] = tenant
        return tenant

    def clear(self) -> None:
        """Forget every tenant."""
        self.tenants.clear()
        self._by_domain.clear()

    def new_guest(self, tenant: Tenant, email: str, display_name: str | None, user_type: str) -> User:
        """Create a guest in state PendingAcceptance; reads see it after the replication lag."""
        salt = f"{self.seed}|{tenant.id}|{email.lower()}"
        if tenant.removed:
            salt += f"|{tenant.removed}"  # a guest made again after a deletion is a new object
        user = User(
            id=guid(salt),
            mail=email,
            display_name=display_name or email.partition("@")[0],
            upn=f"{email.replace('@', '_')}#EXT#@{tenant.initial_domain}",
            user_type=user_type,
            created_at=self.clock.stamp(),
            state_changed_at=self.clock.stamp(),
            other_mails=(email,),
            proxy_addresses=(f"SMTP:{email}",),
        )
        if self.replication:
            user.visible_s = self.clock.real_s() + self.replication.at(_share(salt))
        if self.lags:
            now_s = self.clock.real_s()
            user.known = {part: now_s + span.at(_share(f"{part}|{salt}")) for part, span in self.lags.items()}
            user.visible_s = user.known.get("users", user.visible_s)
        tenant.add(user)
        return user

    def new_member(self, tenant: Tenant, email: str, display_name: str) -> User:
        """Create a member of the tenant itself, visible at once."""
        user = User(
            id=guid(f"{self.seed}|{tenant.id}|{email.lower()}"),
            mail=email,
            display_name=display_name,
            upn=email,
            user_type="Member",
            state=None,
            created_at=self.clock.stamp(),
            creation_type=None,
            proxy_addresses=(f"SMTP:{email}",),
        )
        tenant.add(user)
        return user

    def accept(self, user: User) -> None:
        """Redeem a guest's invitation."""
        user.state = ACCEPTED
        user.state_changed_at = self.clock.stamp()
        user.ticket = ""


SPELLINGS = ("given", "ascii", "unicode")


def spell(address: str, spelling: str) -> str:
    """Return an address as a tenant keeps it: its domain as `given`, in IDNA's `ascii` form, or in
    letters (`unicode`).
    """
    local, at, domain = address.rpartition("@")
    if spelling == "given" or not at:
        return address
    try:
        folded = idna.encode(domain, uts46=True).decode()
        return f"{local}{at}{folded if spelling == 'ascii' else idna.decode(folded)}"
    except idna.IDNAError:
        return address


def seed_directory(
    directory: Directory, *, tenants: int, roles: tuple[str, ...], shared_app: bool
) -> list[tuple[Tenant, App]]:
    """Fill a new directory: "Sandbox (Contoso)" with people in it, and `tenants - 1` empty ones
    beside it.

    Returns each tenant with the application a caller signs in with. Secrets are not set here.
    """
    made = []
    first_client_id = guid(f"{directory.seed}|client|1")
    for number in range(1, tenants + 1):
        word = "contoso" if number == 1 else f"tenant{number:04d}"
        tenant = Tenant(
            id=guid(f"{directory.seed}|tenant|{number}"),
            name="Sandbox (Contoso)" if number == 1 else f"Sandbox ({word})",
            domains=(f"{word}.example", f"{word}.onmicrosoft.example"),
            initial_domain=f"{word}.onmicrosoft.example",
            list_addresses={f"everyone@{word}.example", "team@partner.example"},
            contacts=frozenset({"contact@partner.example"}),
            mailboxes=frozenset(f"{name}@{word}.example" for name in ("ada", "grace", "invites")),
        )
        directory.add_tenant(tenant)
        for group in seed_groups(tenant.id, tenant.domains[0]):
            tenant.add_group(group)
        client_id = first_client_id if shared_app else guid(f"{directory.seed}|client|{number}")
        app = tenant.apps[client_id] = App(client_id, roles)
        directory.new_member(tenant, f"ada@{word}.example", "Ada Lovelace")
        directory.new_member(tenant, f"grace@{word}.example", "Grace Hopper")
        made.append((tenant, app))
    _add_known_guests(directory, made[0][0])
    return made


def _add_known_guests(directory: Directory, tenant: Tenant) -> None:
    """Guests of every rehearsal: two accepted, one disabled, one pending, one deleted lately."""
    for email, name in (("linus@partner.example", "Linus Known"), ("margaret@partner.example", "Margaret Known")):
        directory.accept(_visible_guest(directory, tenant, email, name))
    disabled = _visible_guest(directory, tenant, "disabled@partner.example", "Disabled Guest")
    directory.accept(disabled)
    disabled.enabled = False
    _visible_guest(directory, tenant, "pending@partner.example", "Pending Guest")
    tenant.remove(
        _visible_guest(directory, tenant, "deleted@partner.example", "Deleted Guest"), directory.clock.stamp()
    )


def _visible_guest(directory: Directory, tenant: Tenant, email: str, name: str) -> User:
    user = directory.new_guest(tenant, email, name, "Guest")
    user.settle()
    return user


def _share(text: str) -> float:
    return crc32(text.encode()) / 0xFFFF_FFFF
