"""The place where usher runs may vouch for it, so that no secret is needed: recognised by what each
place sets in a program's environment, without asking anybody.

https://learn.microsoft.com/azure/aks/workload-identity-overview
https://learn.microsoft.com/azure/app-service/overview-managed-identity
https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_VENDOR = Path("/sys/class/dmi/id/chassis_asset_tag")
_AZURE = "7783-7084-3265-9085-8269-3286-77"
"""What Azure writes on the chassis of its virtual machines."""


@dataclass(frozen=True, slots=True)
class Vouching:
    """A place that vouches for what runs there. `setting`: the credential's key of a connection,
    with its value.
    """

    where: str
    setting: tuple[str, str]


def find_vouching(env: Mapping[str, str] = os.environ, vendor: Path = _VENDOR) -> Vouching | None:
    """Return who vouches for this program, None where nobody is seen to. That it may have no
    identity all the same only its answer tells.
    """
    if token_file := env.get("AZURE_FEDERATED_TOKEN_FILE"):
        return Vouching("Kubernetes with workload identity", ("client_assertion", f"file:{token_file}"))
    if env.get("IDENTITY_ENDPOINT") and env.get("IDENTITY_HEADER"):
        return Vouching("App Service", ("managed_identity", "system"))
    if env.get("IDENTITY_ENDPOINT") and env.get("IMDS_ENDPOINT"):
        return Vouching("Azure Arc", ("managed_identity", "system"))
    try:
        is_azure = vendor.read_text(encoding="ascii", errors="replace").strip() == _AZURE
    except OSError:
        is_azure = False
    return Vouching("a virtual machine of Azure", ("managed_identity", "system")) if is_azure else None
