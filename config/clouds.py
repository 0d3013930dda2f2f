"""Microsoft's clouds each have a sign-in host and a Graph of their own. Tokens of one are worth
nothing in another.

https://learn.microsoft.com/graph/deployments
"""

from __future__ import annotations

from dataclasses import dataclass

EXCHANGE = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud's two host names, and the audience of tokens that are exchanged there."""

    name: str
    login_host: str
    graph_host: str
    exchange: str = EXCHANGE


CLOUDS: dict[str, Cloud] = {
    cloud.name: cloud
    for cloud in (
        Cloud("global", "login.microsoftonline.com", "graph.microsoft.com"),  # and GCC
        Cloud("usgov", "login.microsoftonline.us", "graph.microsoft.us", f"{EXCHANGE}USGov"),  # L4, GCC High
        Cloud("usgov-dod", "login.microsoftonline.us", "dod-graph.microsoft.us", f"{EXCHANGE}USGov"),  # L5
        Cloud("china", "login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn", f"{EXCHANGE}China"),  # 21Vianet
    )
}


def cloud_of_graph_host(host: str) -> Cloud | None:
    """Return the cloud whose Graph answers at `host` or `host:port`, None for nobody's."""
    return next((cloud for cloud in CLOUDS.values() if cloud.graph_host == host), None)
