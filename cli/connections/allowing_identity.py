"""A managed identity gets permissions by commands: it has no registration, and the portal no page
for that.

https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-assign-app-role-managed-identity
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.connections import Connection

_GRAPH = "00000003-0000-0000-c000-000000000000"
_ENVIRONMENTS = {"global": "Global", "usgov": "USGov", "usgov-dod": "USGovDoD", "china": "China"}


def commands_for(connection: Connection, permissions: Iterable[str]) -> list[str]:
    """Return the lines of PowerShell that let the connection's identity have these application
    permissions of Graph. Pure.
    """
    names = ", ".join(f"'{name}'" for name in dict.fromkeys(permissions))
    where = f"-TenantId {connection.tenant_id} -Environment {_ENVIRONMENTS[connection.cloud]}"
    return [
        f"Connect-MgGraph {where} -Scopes Application.Read.All, AppRoleAssignment.ReadWrite.All",
        f"$graph = Get-MgServicePrincipal -Filter \"appId eq '{_GRAPH}'\"",
        f"$usher = Get-MgServicePrincipal -Filter \"appId eq '{connection.client_id}'\"",
        f"foreach ($name in {names}) {{",
        "  $role = $graph.AppRoles | Where-Object {",
        "    $_.Value -eq $name -and $_.AllowedMemberTypes -contains 'Application' }",
        "  New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $usher.Id -PrincipalId $usher.Id `",
        "    -ResourceId $graph.Id -AppRoleId $role.Id",
        "}",
    ]
