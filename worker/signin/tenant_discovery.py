"""Entra tells anybody, without a sign-in, which tenant a name means and in which cloud the tenant
lives.

A tenant's OpenID metadata can be asked for by id or by any of its verified domains. Beside the
issuer, which carries the id, it tells the cloud: asked in one cloud for a tenant of another, Entra
answers with the other's facts.
https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from config.clouds import CLOUDS, cloud_of_graph_host
from worker.errors import TokenRefused, TokenUnavailable
from worker.net import tls
from worker.signin.aadsts import explain_signin

_ISSUER = re.compile(r"https://[^/]+/([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})(?:/|$)")
_SUB_SCOPES = {"DODCON": "usgov", "DOD": "usgov-dod"}
"""`tenant_region_sub_scope` of national clouds; `GCC` is a tenant of the global one."""
_INSTANCES = {"microsoftonline.us": "usgov", "partner.microsoftonline.cn": "china", "chinacloudapi.cn": "china"}
_REGIONS = {"USGOV": "usgov", "USG": "usgov", "CN": "china"}


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """A tenant's id, and its cloud's name ("" where that is none of Microsoft's: a rehearsal)."""

    tenant_id: str
    cloud: str


def fetch_tenant_facts(tenant: str, login_host: str, *, ca_file: str | None = None, cloud: str = "") -> TenantFacts:
    """Ask `login_host` for a tenant by id or domain. Blocking.

    Raises `TokenRefused` (there is no such tenant, or something else answers there) or
    `TokenUnavailable` (nobody answers).
    """
    from requests import exceptions as http

    url = f"https://{login_host}/{tenant}/v2.0/.well-known/openid-configuration"
    session = tls.open_session(ca_file)
    try:
        response = session.get(url)
    except http.SSLError:
        raise TokenRefused(
            f"The certificate of {login_host} is not trusted: name its issuer (--ca-file, or SSL_CERT_FILE), and check"
            " the proxy in between.",
            code="certificate_not_trusted",
        ) from None
    except (http.RequestException, OSError):
        raise TokenUnavailable(
            f"{login_host} cannot be reached; check the network and the proxy (HTTPS_PROXY)."
        ) from None
    finally:
        session.close()
    try:
        body = json.loads(response.text)
    except (ValueError, RecursionError):
        body = None
    facts = read_tenant_facts(body) if response.status_code == 200 else None
    if facts is not None:
        return facts
    trouble = explain_signin(response.status_code, body, tenant=tenant, cloud=cloud)
    if response.status_code >= 500 or response.status_code == 429:
        raise TokenUnavailable(trouble.sentence, code=trouble.code)
    raise TokenRefused(trouble.sentence, code=trouble.code)


def read_tenant_facts(body: Any) -> TenantFacts | None:
    """Read a tenant's OpenID metadata; None when it is none. Pure."""
    if not isinstance(body, dict):
        return None
    match = _ISSUER.match(str(body.get("issuer") or ""))
    return TenantFacts(match[1].lower(), _cloud(body)) if match else None


def _cloud(body: dict[str, Any]) -> str:
    told = {
        name: str(body.get(name) or "") for name in ("tenant_region_sub_scope", "msgraph_host", "cloud_instance_name")
    }
    if cloud := _SUB_SCOPES.get(told["tenant_region_sub_scope"].upper()):
        return cloud
    if known := cloud_of_graph_host(told["msgraph_host"].lower()):
        if known is not CLOUDS["global"]:
            return known.name
    elif told["msgraph_host"]:
        return ""  # somebody else's Graph
    region = str(body.get("tenant_region_scope") or "").upper()
    return _INSTANCES.get(told["cloud_instance_name"].lower()) or _REGIONS.get(region) or "global"
