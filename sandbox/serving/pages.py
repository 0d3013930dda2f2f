"""The pages a person sees in a browser: an overview at `/`, read-only, and what a redeem link leads
to.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import islice

from sandbox.control.users import show_user
from sandbox.directory import Directory
from sandbox.world import World

_SHOWN = 200
_INTRO = "A rehearsal stand-in for Microsoft Entra and Graph."
_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;margin:.5rem 0"
    " 1.5rem}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left}th{background:#f3f3f3}"
)


def overview(world: World) -> str:
    """Return the overview: tenants, the latest guests and mails."""
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
    guests = [tuple(show_user(user).values()) for user in latest]
    mails = [
        (mail["n"], mail["at"], mail["to"], ", ".join(mail["cc"]), mail["count"])
        for mail in islice(reversed(world.recorder.mails), _SHOWN)
    ]
    ledger = world.recorder
    counts = f"Requests: {ledger.requests_total}; invited: {ledger.invited}; mails: {ledger.mails_total}."
    body = "".join(
        (
            f"<h1>Sandbox</h1><p>{_INTRO} {counts}</p>",
            "<h2>Tenants</h2>",
            _table(
                ("name", "tenant id", "client id", "domains", "invitations from", "state", "invited", "mails"), tenants
            ),
            f"<h2>Guests of {escape(first.name)}</h2>",
            _table(("id", "address", "name", "type", "state", "enabled", "created", "invitations", "mails"), guests),
            "<h2>Mails</h2>",
            _table(("number", "at", "to", "cc", "mails to this address"), mails),
        )
    )
    return _page("Sandbox", body)


def redeem(directory: Directory, tenant_id: str, user_id: str, ticket: str, *, accept: bool) -> tuple[int, str, bool]:
    """Show what a redeem link leads to; with `accept`, redeem it. Returns status, page, and whether
    a guest changed.
    """
    tenant = directory.tenant(tenant_id)
    user = tenant.users.get(user_id) if tenant else None
    if tenant is None or user is None or not ticket or user.ticket != ticket:
        return 410, _page("Link not valid", "<h1>This invitation link is not valid any more.</h1>"), False
    if accept:
        target = escape(user.redirect_url, quote=True)
        directory.accept(user)
        return 200, _page("Accepted", f"<h1>Accepted.</h1><p>You would now be sent to {target}</p>"), True
    who = escape(user.mail or user.display_name)
    form = '<form method="post"><button>Accept</button></form>'
    return 200, _page("Invitation", f"<h1>{escape(tenant.name)} invites {who}</h1>{form}"), False


def _table(heads: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>{body}</html>"
    )
