"""`usher connections forget`: a customer leaves, with the real command, ledger, worker and
sandbox; another tenant's keys stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from tests.places import Place, open_bare_place
from tests.processes import wait_until
from tests.sandboxes import connection_table, run_sandbox
from worker.stack.folders import find_folders

LEAVER, STAYER = "fabrikam", "contoso"
COUNTS = ("jobs", "rows", "schedules", "tenant_keys", "gates", "counts", "audited")


@pytest.fixture
def served() -> Iterator[tuple[Place, str, str]]:
    """A stack with two tenants of one sandbox; the ids of the leaver and of who stays."""
    with (
        open_bare_place("20") as place,
        run_sandbox(place.folder, "--replication", "0", "--tenants", "2") as sandbox,
    ):
        ready = sandbox.ready
        leaver = ready | ready["tenants"][1]
        tables = [connection_table(STAYER, ready), connection_table(LEAVER, leaver)]
        schedule = f'[schedules.nightly]\ntask = "retry_failed"\nconnection = "{LEAVER}"\ncron = "0 3 * * *"\n'
        place.env["USHER_CONFIG"] = place.write("usher.toml", "\n".join([*tables, schedule]))
        yield place, leaver["tenant_id"], ready["tenant_id"]
        place.end()


def keys_of(place: Place) -> dict[bytes, object]:
    """Every key of the stack's ledger, with its content."""
    with Redis(unix_socket_path=str(find_folders(place.env).server_socket)) as client:
        server: Any = client
        readers = {
            b"hash": server.hgetall,
            b"set": server.smembers,
            b"zset": lambda name: server.zrange(name, 0, -1),
            b"list": lambda name: server.lrange(name, 0, -1),
            b"string": server.get,
            b"stream": server.xrange,
        }
        return {name: readers[server.type(name)](name) for name in server.scan_iter(count=1000)}


def invite(place: Place, connection: str, *more: str) -> str:
    """Invite two guests; returns the job."""
    text = f"email\nann@{connection}.partner.example\nbob@{connection}.partner.example\n"
    done = place.usher("invite", "-", "-c", connection, "--json", *more, text=text)
    assert done.status in (0, 3), done.err
    return str(done.json["job"])


def test_nothing_of_a_tenant_is_left_but_its_audit(served: tuple[Place, str, str]) -> None:
    """Jobs, index, memory, gates, counts, schedules; twice: nothing left."""
    place, tenant, other = served
    stayed = [invite(place, STAYER)]
    invite(place, LEAVER)
    for connection in (STAYER, LEAVER):
        ann = f"ann@{connection}.partner.example"
        assert place.usher("guests", "disable", ann, "-c", connection, "--yes").status == 0
    assert place.usher("connections", "hold", LEAVER, "--reason", "They leave").status == 0
    before = keys_of(place)
    assert any(tenant.encode() in name for name in before)
    marks = [text.encode() for text in (f"connection:{STAYER}", other, *stayed)]
    stays = {name: value for name, value in before.items() if any(mark in name for mark in marks)}
    assert len(stays) > 5

    removed = place.usher("connections", "forget", LEAVER, "--yes", "--json")
    assert removed.status == 0, removed.err
    told = removed.json
    assert (told["jobs"], told["rows"]) == (2, 3)
    assert all(told[name] for name in COUNTS if name != "schedules"), told

    after = keys_of(place)
    named = [name for name in after if tenant.encode() in name or LEAVER.encode() in name]
    assert [name for name in named if b":audit:" not in name] == []
    left = {name for name, value in after.items() if tenant in repr(value)}
    assert [name for name in left if b":audit:" not in name and b"redbeat" not in name] == []
    lasting = {name for name in stays if b":quota:" not in name and b":follow:" not in name}
    assert {name: after.get(name) for name in lasting} == {name: stays[name] for name in lasting}
    assert place.usher("jobs", "list", "--json").json["jobs"][0]["connection"] == STAYER

    entries = place.usher("audit", "list", "--json", "--rows", "--connection", LEAVER).json["entries"]
    assert [one for one in entries if one["what"] == "connection.forgotten"]
    rows = [one for one in entries if one["what"] == "row"]
    assert rows
    assert {one["guest"] for one in rows} == {""}
    others = place.usher("audit", "list", "--json", "--rows", "--connection", STAYER).json["entries"]
    assert [one for one in others if one.get("guest")]

    def is_nothing_left() -> bool:
        """A worker writes every few seconds what it has counted: it may come after the first."""
        return "holds nothing" in place.usher("connections", "forget", LEAVER, "--yes").out

    wait_until(is_nothing_left, 30, "nothing left to forget")


def test_what_has_not_ended_stands_in_the_way_and_the_ledger_knows_the_tenant(served: tuple[Place, str, str]) -> None:
    """A held connection keeps its job open. Without its table, what its jobs left behind tells the
    tenant; what a tenant's connections share stays with the last of them, or until it is named.
    """
    place, tenant, _ = served
    invite(place, LEAVER)
    assert place.usher("connections", "hold", LEAVER, "--reason", "They leave").status == 0
    job = invite(place, LEAVER, "--resend", "--wait", "1s")
    refused = place.usher("connections", "forget", LEAVER, "--yes")
    assert (refused.status, job in refused.err, "nothing was changed" in refused.err) == (2, True, True), refused
    assert place.usher("jobs", "cancel", job).status == 0
    config = place.folder / "usher.toml"
    text = config.read_text()
    start = text.index(f"[connections.{LEAVER}]")
    config.write_text(text[:start] + text[start : text.index("[schedules")].replace(LEAVER, "twin"))
    removed = place.usher("connections", "forget", LEAVER, "--yes", "--json")
    assert (removed.status, removed.json["tenant_known"], removed.json["jobs"]) == (0, True, 2), removed.err
    assert (removed.json["kept_of_tenant"], removed.json["tenant_keys"]) == (["twin"], 0)
    assert [name for name in keys_of(place) if tenant.encode() in name]
    config.write_text(text[:start])
    rest = place.usher("connections", "forget", LEAVER, "--tenant", tenant, "--yes", "--json")
    assert (rest.status, rest.json["tenant_keys"] > 0) == (0, True), rest.err
    assert not [name for name in keys_of(place) if tenant.encode() in name]
