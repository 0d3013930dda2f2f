"""The page at which a tenant's administrator consents to an application, as the link of a ticket
leads to it: GET shows what it asks for, POST consents.

https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
"""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from sandbox.directory import Directory
from sandbox.serving.html import page


def admin_consent(directory: Directory, method: str, tenant_name: str, query: str) -> tuple[int, str]:
    """Answer /{tenant}/adminconsent?client_id=…: a status and a page."""
    tenant = directory.tenant(tenant_name)
    client_id = parse_qs(query).get("client_id", [""])[-1].lower()
    app = tenant.apps.get(client_id) if tenant else None
    if tenant is None or app is None:
        told = f"AADSTS700016: Application with identifier '{client_id}' was not found."
        sorry = "<h1>Sorry, but we’re having trouble signing you in.</h1>"
        return 400, page("Sorry", f"{sorry}<p>{escape(told)}</p>")
    if method == "POST":
        app.consented = True
        done = "<h1>Consented.</h1><p>Entra’s page ends with a complaint about a missing reply address here.</p>"
        return 200, page("Consented", done)
    roles = "".join(f"<li>{escape(role)}</li>" for role in app.roles)
    state = "has consented already" if app.consented else "has not consented yet"
    asks = f"<p>Application {escape(app.client_id)} asks for:</p><ul>{roles}</ul>"
    form = '<form method="post"><button>Accept</button></form>'
    return 200, page("Permissions requested", f"<h1>{escape(tenant.name)} {state}.</h1>{asks}{form}")
