"""The place where usher runs may vouch for it, so that no secret is needed: recognised by what each
place sets in a program's environment or leaves on its disk, without asking anybody.

https://learn.microsoft.com/azure/aks/workload-identity-overview
https://learn.microsoft.com/azure/app-service/overview-managed-identity
https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication
https://docs.github.com/actions/reference/security/oidc
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_AGENT = Path("/opt/azcmagent/bin/himds")
"""Azure Arc's, by which MSAL knows such a server, too."""
_VENDOR = Path("/sys/class/dmi/id/chassis_asset_tag")
_AZURE = "7783-7084-3265-9085-8269-3286-77"
"""What Azure writes on the chassis of its virtual machines."""


@dataclass(frozen=True, slots=True)
class Vouching:
    """A place that vouches for what runs there. `setting`: the credential's key of a connection,
    with its value. `tenant` and `client`: whose application it names besides, '' where it names
    none.
    """

    where: str
    setting: tuple[str, str]
    tenant: str = ""
    client: str = ""


def find_vouching(env: Mapping[str, str] = os.environ, vendor: Path = _VENDOR, agent: Path = _AGENT) -> Vouching | None:
    """Return who vouches for this program, None where nobody is seen to. That it may have no
    identity all the same only its answer tells.
    """
    tenant, client = env.get("AZURE_TENANT_ID", ""), env.get("AZURE_CLIENT_ID", "")
    if token_file := env.get("AZURE_FEDERATED_TOKEN_FILE"):
        setting = ("client_assertion", f"file:{token_file}")
        return Vouching("Kubernetes with workload identity", setting, tenant, client)
    if env.get("ACTIONS_ID_TOKEN_REQUEST_URL"):
        return Vouching("a workflow of GitHub", ("client_assertion", "file:token"), tenant, client)
    where = _find_platform(env, vendor, agent)
    return Vouching(where, ("managed_identity", client or "system"), tenant, client) if where else None


def _find_platform(env: Mapping[str, str], vendor: Path, agent: Path) -> str:
    if env.get("IDENTITY_ENDPOINT") and env.get("IDENTITY_HEADER"):
        return "App Service"
    if (env.get("IDENTITY_ENDPOINT") and env.get("IMDS_ENDPOINT")) or agent.exists():
        return "Azure Arc"
    try:
        is_azure = vendor.read_text(encoding="ascii", errors="replace").strip() == _AZURE
    except OSError:
        is_azure = False
    return "a virtual machine of Azure" if is_azure else ""
