"""The pages a person sees in a browser: a read-only overview at `/`, and what a link redeems."""

from __future__ import annotations

from html import escape
from itertools import islice

from sandbox.control.users import show_user
from sandbox.directory import Directory
from sandbox.resources.groups import members_of
from sandbox.serving.html import page, table
from sandbox.serving.mail_pages import mail_rows
from sandbox.world import World

_SHOWN = 200
_GUEST = (
    *("id", "address", "name", "type", "state", "enabled", "created", "invitations", "mails", "company"),
    "sponsors",
)
_INTRO = "A rehearsal stand-in for Microsoft Entra and Graph."


def overview(world: World) -> str:
    """Return the overview: tenants, the latest guests, groups and mails."""
    tenants = [
        (
            tenant.name,
            tenant.id,
            app.client_id,
            ", ".join(tenant.domains),
            tenant.allow_invites_from,
            "blocked" if tenant.blocked_for_abuse else "",
            tenant.invitations,
            tenant.mails,
        )
        for tenant, app in world.apps[:_SHOWN]
    ]
    first = world.apps[0][0]
    latest = islice((user for user in reversed(first.users.values()) if user.state is not None), _SHOWN)
    guests = [tuple({**show_user(user), "sponsors": len(user.sponsors)}.values()) for user in latest]
    groups = [
        (
            group.display_name,
            group.id,
            group.kind,
            group.mail or "",
            "team" if group.team else "",
            len(list(members_of(first, group))),
        )
        for group in islice(first.groups.values(), _SHOWN)
    ]
    ledger = world.recorder
    counts = f"Requests: {ledger.requests_total}; invited: {ledger.invited}; mails: {ledger.mails_total}."
    body = "".join(
        (
            f"<h1>Sandbox</h1><p>{_INTRO} {counts}</p>",
            "<h2>Tenants</h2>",
            table(
                ("name", "tenant id", "client id", "domains", "invitations from", "state", "invited", "mails"), tenants
            ),
            f"<h2>Guests of {escape(first.name)}</h2>",
            table(
                (
                    "id",
                    "address",
                    "name",
                    "type",
                    "state",
                    "enabled",
                    "created",
                    "invitations",
                    "mails",
                    "company",
                    "sponsors",
                ),
                guests,
            ),
            f"<h2>Groups of {escape(first.name)}</h2>",
            table(("name", "id", "kind", "address", "team", "members"), groups),
            '<h2><a href="/mails">Mail</a></h2>',
            mail_rows(reversed(ledger.mails)),
        )
    )
    return page("Sandbox", body)


def redeem(directory: Directory, tenant_id: str, user_id: str, ticket: str, *, accept: bool) -> tuple[int, str, bool]:
    """Show what a redeem link leads to; with `accept`, redeem it. Returns status, page, and whether
    a guest changed.
    """
    tenant = directory.tenant(tenant_id)
    user = tenant.users.get(user_id) if tenant else None
    if tenant is None or user is None or not ticket or user.ticket != ticket:
        return 410, page("Link not valid", "<h1>This invitation link is not valid any more.</h1>"), False
    if accept:
        target = escape(user.redirect_url, quote=True)
        directory.accept(user)
        return 200, page("Accepted", f"<h1>Accepted.</h1><p>You would now be sent to {target}</p>"), True
    who = escape(user.mail or user.display_name)
    form = '<form method="post"><button>Accept</button></form>'
    return 200, page("Invitation", f"<h1>{escape(tenant.name)} invites {who}</h1>{form}"), False
