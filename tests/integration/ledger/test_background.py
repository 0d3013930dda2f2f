"""Somebody else takes half of the quota unannounced: what Graph shows of it, or else its 429s, keep
us from running into it.
"""

from __future__ import annotations

import pytest

from tests.sandboxes import Sandbox
from tests.sites import Site, open_site
from worker.ledger.model import Counts

LIMIT = "600/6s"
ROWS = 1000


SMALL = "60/0.5s"
"""The invitations of a tenant: a batch is a third of it, so that what is shown of it says
little.
"""


def _crowded(limit: str, amount: str, *options: str) -> pytest.MarkDecorator:
    """A tenant in which another application takes half of one limit."""
    others = {"writes_per_app_and_tenant", "invitations_per_tenant", "units_per_app_and_tenant"} - {limit}
    limits = ",".join([f"{limit}={amount}", *(f"{name}=off" for name in sorted(others))])
    told = {"invitations_per_tenant": "100000/1s", "writes_per_app_and_tenant": "100000/1s", limit: amount}
    lines = "".join(f'{name} = "{value}"\n' for name, value in told.items())
    return pytest.mark.sandbox(
        options=("--quota", limits, "--background", f"{limit}=0.5", "--retry-after", "absent", *options),
        quota=f"[quota]\n{lines}",
        replication="0-2",
        settle_s=30,
        timeout_s=10,
    )


@_crowded("writes_per_app_and_tenant", LIMIT)
async def test_an_unknown_other_is_noticed_before_graph_refuses(
    request: pytest.FixtureRequest, valkey_url: str, sandbox: Sandbox
) -> None:
    """Believing in twice what is left, hardly one of a thousand operations is refused (more than
    twenty, when nobody reads the header). What is on the wire when the header first tells is
    chance, so the best of six tries counts, each with an empty memory.
    """
    marker = request.node.get_closest_marker("sandbox")
    told = {name: value for name, value in marker.kwargs.items() if name != "options"}
    refused = []
    for _ in range(6):
        async with open_site(valkey_url, sandbox, **told) as site:
            site.start_worker(8)
            job = await site.desk.load(ROWS)
            view = await site.ended(job, 60)
            assert view.counts == Counts(rows=ROWS, done=ROWS)
            site.assert_all_mailed_once(ROWS)
            refused.append(sum(site.sandbox.ask("stats")["throttled"].values()))
        if refused[-1] < 5:
            break
    assert min(refused) < 5, refused


@_crowded("invitations_per_tenant", SMALL, "--throttle-headers", "off", "--accrue-while-throttled")
async def test_what_comes_in_is_learned_from_429s_alone(site: Site) -> None:
    """A small limit, no header at all, refused requests counting too: a few 429s tell the rate.
    Nobody is given up.
    """
    site.start_worker(8)
    job = await site.desk.load(400)
    await site.all_invited_once(job, 400, 60)
    refused = sum(site.sandbox.ask("stats")["throttled"].values())
    assert refused < 40, refused
