"""`usher connections forget` refuses while a job goes on, and knows a tenant that is configured no
more by what its jobs left. That nothing stays of it: `tests/integration/tenants/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from tests.places import Place, open_bare_place
from tests.sandboxes import connection_table, run_sandbox
from worker.stack.folders import find_folders

LEAVER, STAYER = "fabrikam", "contoso"


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
    again = place.usher("connections", "forget", LEAVER, "--yes")
    assert (again.status, "holds nothing of connection" in again.out) == (0, True), again
    for more in ((), ("--tenant", tenant)):
        mistyped = place.usher("connections", "forget", "fabrikan", "--yes", *more)
        assert (mistyped.status, "was ever known here" in mistyped.err, mistyped.out) == (2, True, ""), mistyped
