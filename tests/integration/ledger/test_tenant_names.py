"""One tenant is one tenant, whether a connection names it by its id or by one of its domains."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from config.reader import parse_connection
from tests.ledgers import Desk
from tests.sandboxes import Sandbox, connection_table
from tests.sites import Site
from worker.errors import TokenUnavailable
from worker.ledger.gates import HoldReason
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.model import Counts
from worker.signin.tenant_ids import Tenants
from worker.store.keyring import no_sealer

DOMAIN = "contoso.example"
PEOPLE = [f"guest{n}@partner.example" for n in range(5)]


def _by_name(sandbox: Sandbox, port: int | None = None) -> Any:
    """Return a connection that names the sandbox's tenant by its domain."""
    table = {
        "tenant_id": DOMAIN,
        "client_id": sandbox.ready["client_id"],
        "client_secret": f"file:{sandbox.ready['client_secret_file']}",
        "authority": f"https://127.0.0.1:{port or sandbox.port}",
        "graph_url": sandbox.ready["graph_url"],
        "ca_file": sandbox.ready["ca_file"],
    }
    return parse_connection("named", table)


def _add_named(site: Site) -> None:
    """Add a connection that names the same tenant by its domain, and let neither look before it
    sends.
    """
    config = site.folder / "usher.toml"
    authority = json.dumps(f"https://127.0.0.1:{site.sandbox.port}")
    named = connection_table(
        "named",
        site.sandbox.ready,
        client_secret=f'"file:{site.secret}"',
        tenant_id=json.dumps(DOMAIN),
        authority=authority,
        precheck="false",
    )
    config.write_text(config.read_text() + "precheck = false\n" + named)


async def test_a_tenant_named_twice_shares_memory_claims_and_quota(site: Site) -> None:
    """Whoever was invited through its id is not mailed again through its domain, nor the other way
    round.
    """
    _add_named(site)
    site.start_worker()
    assert (await site.ended(await site.load(PEOPLE, job="one"))).counts == Counts(rows=5, done=5)
    more = [*PEOPLE, "new@partner.example"]
    view = await site.ended(await site.load(more, job="two", connection="named"))
    assert view.counts == Counts(rows=6, done=1, skipped=5)
    assert (await site.ended(await site.load(more, job="three"))).counts == Counts(rows=6, skipped=6)
    site.assert_all_mailed_once(6)
    names = await site.desk.names()
    assert any(name.startswith("quota:") for name in names)
    assert not [name for name in names if DOMAIN in name], "nothing is kept by the name"


async def test_a_tenant_is_known_by_what_named_it_before(desk: Desk, sandbox: Sandbox) -> None:
    """A job that was accepted by the name goes on when the id stands in its place."""
    tenants = Tenants(desk.client, desk.keys)
    by_name = _by_name(sandbox)
    by_id = await tenants.resolve(by_name)
    other = by_id.model_copy(update={"tenant_id": "00000000-0000-4000-8000-000000000009"})
    for key in (by_name.tenant_key, by_id.tenant_key, ""):
        assert tenants.is_of(key, by_name)
        assert tenants.is_of(key, by_id)
    assert not tenants.is_of(by_name.tenant_key, other)
    assert not tenants.is_of(by_id.tenant_key, other)


async def test_a_sandbox_that_is_started_again_is_the_same_tenant(desk: Desk, sandbox: Sandbox) -> None:
    """It listens at another port then; another host is another cloud, whatever the tenant's id."""
    tenants = Tenants(desk.client, desk.keys)
    by_name = _by_name(sandbox)
    by_id = await tenants.resolve(by_name)
    for named in (by_name, by_id):
        restarted = named.model_copy(update={"graph_url": "https://127.0.0.1:1/v1.0"})
        assert restarted.tenant_key != named.tenant_key
        assert tenants.is_of(named.tenant_key, restarted)
        assert not tenants.is_of(named.tenant_key, named.model_copy(update={"graph_url": "https://graph.example:1"}))
    elsewhere = by_id.model_copy(update={"graph_url": "https://graph.example:2"})
    assert not tenants.is_of(f"graph.example:1/{by_id.tenant_id}", elsewhere)


async def test_another_process_takes_the_answer_from_the_ledger(desk: Desk, sandbox: Sandbox) -> None:
    """Found out once, it is known where the sign-in service is away; where it never was, the rows
    wait as for a sign-in.
    """
    nobody = _by_name(sandbox, port=1)
    with pytest.raises(TokenUnavailable):
        await Tenants(desk.client, desk.keys).resolve(nobody)
    found = await Tenants(desk.client, desk.keys).resolve(_by_name(sandbox))
    assert found.tenant_id == sandbox.ready["tenant_id"]
    assert (await Tenants(desk.client, desk.keys).resolve(nobody)).tenant_key == found.tenant_key
    reader = Tenants(desk.client, desk.keys)
    assert reader.named(nobody) == nobody
    await reader.recall()
    assert reader.named(nobody).tenant_key == found.tenant_key


async def test_an_id_is_asked_for_nowhere(desk: Desk, sandbox: Sandbox) -> None:
    """It is what names resolve to."""
    connection = _by_name(sandbox, port=1).model_copy(update={"tenant_id": sandbox.ready["tenant_id"]})
    assert await Tenants(desk.client, desk.keys).resolve(connection) is connection


async def test_the_memory_of_a_ledger_that_was_kept_by_the_name_stays(desk: Desk, sandbox: Sandbox) -> None:
    """Who was invited before the name was resolved is found under the id; a block by Microsoft
    stays too, and so does what an operator held.
    """
    index, connection = GuestIndex(desk.client, desk.keys, no_sealer), _by_name(sandbox)
    before = await index.place(connection.tenant_key, {0: PEOPLE[0]})
    await desk.gates.block_tenant(connection.tenant_key, "Blocked.")
    await desk.gates.hold("old", HoldReason.OPERATOR, "Stop.", tenant_key=connection.tenant_key)
    resolved = await Tenants(desk.client, desk.keys).resolve(connection)
    assert resolved.tenant_key != connection.tenant_key
    assert await desk.gates.held_names(resolved.tenant_key) == {"old"}
    after = await index.place(resolved.tenant_key, {0: PEOPLE[0]})
    assert dataclasses.asdict(after) == dataclasses.asdict(before)
    assert await desk.ledger.client.exists(desk.keys.tenant(resolved.tenant_key))


async def test_a_ledger_that_knew_both_goes_on_with_the_id(desk: Desk, sandbox: Sandbox) -> None:
    """Two memories cannot be made one: the hashes of one say nothing under the other."""
    index, connection = GuestIndex(desk.client, desk.keys, no_sealer), _by_name(sandbox)
    by_id = connection.model_copy(update={"tenant_id": sandbox.ready["tenant_id"]})
    before = await index.place(by_id.tenant_key, {0: PEOPLE[0]})
    await index.place(connection.tenant_key, {0: PEOPLE[0]})
    resolved = await Tenants(desk.client, desk.keys).resolve(connection)
    after = await index.place(resolved.tenant_key, {0: PEOPLE[0]})
    assert (after.base, after.hashes) == (before.base, before.hashes)
