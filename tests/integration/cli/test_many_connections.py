"""`usher connections list` with thousands of them: gates in pages, a line each, a part by tag."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.connections.checking import MANY
from tests.places import Place, open_bare_place
from tests.sandboxes import run_sandbox
from tests.sites import Site
from worker.ledger.gates import Gates, HoldReason

COUNT = 10_000
HELD = 4_321


@pytest.fixture(scope="module")
def provider() -> Iterator[Place]:
    """A list with so many customers."""
    tenant = "00000000-0000-4000-8000-{:012d}"
    lines = "".join(f"t{n:05d},{tenant.format(n)},msp,{'odd' if n % 2 else 'even'}\n" for n in range(COUNT))
    with open_bare_place("10") as place:
        place.write("tenants.csv", f"name,tenant_id,app,tags\n{lines}")
        app = '[apps.msp]\nclient_id = "11111111-2222-3333-4444-555555555555"\nclient_secret = "env:MSP"\n'
        place.env["USHER_CONFIG"] = place.write("usher.toml", f'connections_file = "tenants.csv"\n{app}')
        yield place
        place.end()


def test_thousands_have_a_line_each(provider: Place) -> None:
    """And what is held says why; the last line counts."""
    held = f"t{HELD:05d}"
    assert provider.usher("connections", "hold", held, "--reason", "Asked to wait.").status == 0
    listed = provider.usher("connections", "list")
    lines = listed.out.rstrip().splitlines()
    assert (listed.status, len(lines)) == (0, COUNT + 1 + 1 + 2), listed.err  # sandbox, why, gap and sum
    assert "Asked to wait." in listed.out
    assert lines[-1] == "10,001 connections: 10,000 open, 1 held or slowed down."


def test_a_tag_lists_its_own(provider: Place) -> None:
    """With --json too; one has all its facts."""
    told = provider.usher("connections", "list", "tag:odd", "--json").json["connections"]
    assert (len(told), {one["connection"][-1] for one in told}) == (COUNT // 2, set("13579"))
    assert "tenant 00000000" in provider.usher("connections", "list", "t00007").out


def test_of_many_checked_those_that_work_have_a_line(bare_place: Place, tmp_path: Path) -> None:
    """What somebody has to see to is told in full, and the last line counts."""
    with run_sandbox(tmp_path, "--tenants", str(MANY), "--shared-app") as sandbox:
        ready: dict[str, Any] = sandbox.ready
        told = {"client_id": ready["client_id"], "client_secret": f"file:{ready['client_secret_file']}"}
        told |= {"authority": ready["url"], "graph_url": ready["graph_url"], "ca_file": ready["ca_file"]}
        app = "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
        config = f'connections_file = "tenants.csv"\n[apps.msp]\n{app}'
        bare_place.env["USHER_CONFIG"] = bare_place.write("usher.toml", config)
        tenants = [one["tenant_id"] for one in ready["tenants"]] + ["00000000-0000-4000-8000-000000000011"]
        lines = "".join(f"t{number},{tenant},msp\n" for number, tenant in enumerate(tenants))
        bare_place.write("tenants.csv", f"name,tenant_id,app\n{lines}")
        checked = bare_place.usher("connections", "check", "all")
        bare_place.end()
    assert checked.status == 1, checked.err
    assert "t0  works" in checked.out
    assert f"t{MANY}  works" not in checked.out
    assert f"{MANY + 1} connections: {MANY} work, 1 need somebody." in checked.out


async def test_gates_are_read_in_pages(site: Site) -> None:
    """Those of channels, too, and a hold on everything shows on each."""
    gates = Gates(site.desk.client, site.desk.keys)
    names = [f"t{n}" for n in range(1_200)] + ["t7+groups"]
    await gates.hold("t7", HoldReason.OPERATOR, "Asked to wait.")
    found = await gates.of_many(names)
    assert [name for name, gate in found.items() if gate.held] == ["t7", "t7+groups"]
    await gates.hold_everything("All.")
    assert {gate.why for gate in (await gates.of_many(names)).values()} == {"All."}
