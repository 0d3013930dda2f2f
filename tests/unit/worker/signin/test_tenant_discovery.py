"""What a tenant's OpenID metadata says: its id, and the cloud it lives in whatever cloud was
asked.
"""

from __future__ import annotations

from typing import Any

import pytest

from worker.signin.tenant_discovery import TenantFacts, read_tenant_facts

ID = "8ec5087e-1498-46e4-9ba5-77863d101ef2"


def metadata(**changes: Any) -> dict[str, Any]:
    """Metadata as the global cloud gives it."""
    return {
        "issuer": f"https://login.microsoftonline.com/{ID}/v2.0",
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "msgraph_host": "graph.microsoft.com",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "cloud"),
    [
        ({}, "global"),
        ({"tenant_region_scope": "NA", "tenant_region_sub_scope": "GCC"}, "global"),
        ({"tenant_region_scope": "USGov", "tenant_region_sub_scope": "DODCON"}, "usgov"),
        ({"tenant_region_scope": "USGov", "tenant_region_sub_scope": "DOD"}, "usgov-dod"),
        ({"tenant_region_scope": "USGov"}, "usgov"),
        ({"msgraph_host": "graph.microsoft.us", "cloud_instance_name": "microsoftonline.us"}, "usgov"),
        ({"msgraph_host": "dod-graph.microsoft.us"}, "usgov-dod"),
        ({"msgraph_host": "microsoftgraph.chinacloudapi.cn"}, "china"),
        ({"cloud_instance_name": "partner.microsoftonline.cn"}, "china"),
        ({"msgraph_host": "127.0.0.1:8443"}, ""),
        ({"msgraph_host": None, "tenant_region_scope": None, "cloud_instance_name": None}, "global"),
    ],
)
def test_a_tenants_cloud_is_told(changes: dict[str, Any], cloud: str) -> None:
    """By the sub-region first: two of Microsoft's clouds share their sign-in host."""
    assert read_tenant_facts(metadata(**changes)) == TenantFacts(ID, cloud)


@pytest.mark.parametrize("body", [None, [], {}, {"issuer": 5}, {"issuer": "https://login.example/{tenantid}/v2.0"}])
def test_anything_else_is_no_tenant(body: Any) -> None:
    """A page of a network in between, or the metadata of `common`."""
    assert read_tenant_facts(body) is None
