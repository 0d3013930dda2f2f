"""A tenant whose customer left is forgotten: two tenants leave every kind of key behind, by real
commands; one is forgotten, and then every key of Redis is read.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher

pytestmark = pytest.mark.usefixtures("one_day")

LEAVER, STAYER = "fabrikam", "contoso"
TOKEN = "crm-token-" + "c" * 40
ROLES = (
    *("User.Invite.All", "User.ReadWrite.All", "GroupMember.ReadWrite.All", "Mail.Send", "Application.Read.All"),
    *("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "AuditLog.Read.All"),
)
DEAD_HOOK = "https://127.0.0.1:9/hook"


def tables(ready: dict[str, Any]) -> str:
    """Two tenants that mail themselves, a producer, and schedules of one and of all."""
    folder = Path(ready["ca_file"]).parent.parent
    (folder / "crm").write_text(TOKEN)
    (folder / "notify").write_text("n" * 40)
    parts = []
    for name, tenant in zip((STAYER, LEAVER), ready["tenants"], strict=True):
        own = {"deliver": '"mailbox"', "mailbox": f'"{tenant["mailbox"]}"', "notify": f'"{DEAD_HOOK}"'}
        parts.append(connection_table(name, ready | tenant, **own))
        parts.append(f'[connections.{name}.clean]\nremind_after = "1d"\nremind_sponsor_before = "14d"')
        for task, args in {
            "retry_failed": "{}",
            "expiring_secrets": '{ within = "900d", confirm = true }',
            "remind_sponsors": "{ confirm = true }",
        }.items():
            table = f'task = "{task}"\nconnection = "{name}"\ncron = "0 3 * * *"\nargs = {args}'
            parts.append(f"[schedules.{name}-{task.replace('_', '-')}]\n{table}")
    parts.append('[schedules.all]\ntask = "check_connections"\ncron = "0 3 * * *"')
    parts.append('[schedules.both]\ntask = "retry_failed"\nconnection = "all"\ncron = "0 3 * * *"')
    parts.append('[notify]\nsecret = "file:notify"')
    parts.append('[producers.crm]\ntoken = "file:crm"\nconnections = ["contoso", "fabrikam"]\ndaily_limit = 100')
    return "\n".join(parts)


@pytest.fixture(scope="module")
def usher() -> Iterator[Usher]:
    """One worker and two tenants."""
    folder = Path(tempfile.mkdtemp(prefix="ufo-", dir="/tmp"))
    sandbox = ("--quota", "off", "--replication", "0", "--tenants", "2", "--roles", ",".join(ROLES))
    try:
        with run_usher(folder, sandbox_options=sandbox, tables=tables) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(usher: Usher, tenants: dict[str, str]) -> None:
    """Leave behind whatever tenants leave, by real commands."""
    ends = f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%d}"
    for name, tenant in tenants.items():
        boss, domain = f"boss@{name}.example", f"{name}.partner.example"
        users: list[dict[str, Any]] = [{"email": boss, "user_type": "Member"}]
        users += [{"email": f"{who}@{domain}", "state": "PendingAcceptance"} for who in ("pending", "old")]
        users += [{"email": f"off@{domain}", "state": "Accepted"}]
        limited = {"extension_attributes": {"extensionAttribute10": ends}, "sponsors": [boss]}
        users += [{"email": f"ending@{domain}", "state": "Accepted", **limited}]
        for user in users:
            long_ago = {"created_at": "2024-03-01T12:00:00Z"}
            usher.sandbox.ask("users", {"action": "add", "tenant_id": tenant, **long_ago, **user})
        usher.sandbox.ask("groups", {"action": "add", "tenant_id": tenant, "name": "Everybody"})

    for verb in (("hold", "--reason", "a try"), ("reopen",)):
        assert usher.run("connections", *verb, ",".join(tenants)).status == 0

    def run(*arguments: str, of: str = "", more: str = "") -> None:
        heading = "email,connection" + (",new_email,sponsors" if more else "")
        rows = [f"{of}@{name}.partner.example,{name}{more.format(name=name)}" for name in tenants]
        text = "\n".join([heading, *rows]) + "\n" if of else ""
        status, out, err = usher.run(*arguments, "-c", ",".join(tenants), text=text)
        assert status == 0, (arguments, status, out, err)

    run("invite", "-", "--group", "Everybody", "--yes", of="ann", more=",,boss@{name}.example")
    run("guests", "list", "--format", "csv")
    run("guests", "remind", "-", "--yes", of="pending")
    run("guests", "disable", "-", "--yes", of="off")
    run("guests", "move", "-", "--yes", of="old", more=",new@{name}.partner.example,")
    for name in tenants:
        schedule(usher, f"{name}-expiring-secrets", 1)
        usher.ask_with("usher.invite_guest", (name, f"crm@{name}.partner.example"), {}, headers={"usher_token": TOKEN})
    schedule(usher, f"{LEAVER}-retry-failed", 0)
    schedule(usher, f"{LEAVER}-remind-sponsors", 0)
    schedule(usher, "all", 0)
    schedule(usher, "both", 0)
    added = ("schedules", "add", "more", "--task", "retry_failed", "--cron", "0 2 * * *")
    assert usher.run(*added, "-c", ",".join(tenants)).status == 0
    with redis.Redis(unix_socket_path=usher.redis_url.removeprefix("unix://")) as client:  # as a beat does
        client.set("usher:redbeat:members:both", json.dumps([*tenants]))


def schedule(usher: Usher, name: str, expected: int) -> None:
    """Run a schedule at once."""
    status, out, err = usher.run("schedules", "run", name)
    assert status == expected, (name, status, out, err)


def guest_ids(usher: Usher, tenant: str) -> set[bytes]:
    """Return the ids of all guests that the sandbox knows in a tenant."""
    return {guest["id"].encode() for guest in usher.sandbox.ask(f"guests?tenant_id={tenant}")}


def keys_of(usher: Usher) -> dict[bytes, object]:
    """Every key of Redis with its content."""
    with redis.Redis(unix_socket_path=usher.redis_url.removeprefix("unix://")) as client:
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


def flat(thing: object) -> bytes:
    """Return all bytes of something, one after the other."""
    if isinstance(thing, dict):
        return flat([*thing.items()])
    if isinstance(thing, list | tuple | set):
        return b"\n".join(map(flat, thing))
    return thing if isinstance(thing, bytes) else str(thing).encode()


def is_job_of(name: str, key: bytes, value: object) -> bool:
    """Whether a key is the record of a job, or of a stage, of a connection."""
    found = value.get(b"connection", b"") if isinstance(value, dict) else b""
    return key.startswith(b"usher:job:") and found.partition(b"+")[0] == name.encode()


def parts_of(value: object) -> set[object]:
    """Return what a key's content consists of."""
    if isinstance(value, dict):
        return set(value.items())
    return set(value) if isinstance(value, list | set) else {value}


def test_nothing_but_the_audit_is_left(usher: Usher) -> None:
    """Neither name nor id, nor an address, nor what it is hashed to; the other tenant's keys are as
    they were, byte by byte.
    """
    ids = dict(zip((STAYER, LEAVER), [one["tenant_id"] for one in usher.sandbox.ready["tenants"]], strict=True))
    fill(usher, ids)
    usher.stop_worker()  # so that nothing changes by itself
    before = keys_of(usher)
    tenant = ids[LEAVER].encode()
    mine = {key: value for key, value in before.items() if tenant in key}
    kinds = {key.split(b":")[1] for key in mine}
    assert kinds == {b"index", b"disabled", b"told-ends", b"held-as", b"quota", b"token"}, kinds
    index = [value for key, value in mine.items() if b":index:" in key and isinstance(value, dict)]
    hashes = {field for value in index for field in value if field}
    marks = {LEAVER.encode(), tenant, *guest_ids(usher, ids[LEAVER]), *hashes}
    assert len(marks) > 10, marks
    assert min(map(len, marks)) > 7, sorted(marks, key=len)

    config = usher.folder / "usher.toml"
    config.write_text(re.sub(rf"\[schedules\.{LEAVER}-retry-failed\][^\[]*", "", config.read_text()))
    unasked = usher.run("connections", "forget", LEAVER)
    assert (unasked.status, "say it with --yes" in unasked.err) == (2, True), unasked
    assert "is still configured, and whoever was invited through it will be unknown" in unasked.err
    assert usher.run("connections", "hold", LEAVER, "--reason", "They asked us to stop").status == 0
    held = usher.run("connections", "forget", LEAVER, "--yes")
    assert (held.status, "They asked us to stop" in held.err, "the hold would go" in held.err) == (2, True, True), held
    assert usher.run("connections", "reopen", LEAVER).status == 0
    assert {key: value for key, value in keys_of(usher).items() if tenant in key} == mine, "nothing was erased"
    removed = usher.run("connections", "forget", LEAVER, "--yes", "--json")
    assert removed.status == 0, removed.err
    assert "Schedule more, added at run time, names fabrikam among others" in removed.err
    told = json.loads(removed.out)
    assert (told["jobs"], told["notices"], told["schedules"]) == (5, 1, 5), told
    assert all(told[count] for count in ("rows", "tenant_keys", "gates", "counts", "audited")), told
    again = usher.run("connections", "forget", LEAVER, "--yes")
    assert (again.status, "holds nothing of connection" in again.out) == (0, True), again

    def names(thing: object) -> bool:
        return any(mark in flat(thing) for mark in marks)

    after = keys_of(usher)
    left = {key: value for key, value in after.items() if names(key) or names(value)}
    assert [key for key in left if b":audit:" not in key] == [b"usher:redbeat:entry:more"]
    (events,) = [value for key, value in left.items() if key.endswith(b":events")]
    assert {mark for mark in hashes if mark in flat(events)} == set()

    jobs = {key.split(b":")[2] for key, value in before.items() if is_job_of(LEAVER, key, value)}
    jobs |= {key.split(b":")[2] for key, value in before.items() if b":notice:" in key and names(value)}
    for key, value in before.items():
        if b":audit:" in key or names(key) or any(job in key for job in jobs):
            continue
        others = {part for part in parts_of(value) if not names(part) and not any(job in flat(part) for job in jobs)}
        assert others <= parts_of(after.get(key, {})), key
    of_all = flat(after[b"usher:schedule:all:runs"])
    assert b"contoso: The app may invite guests." in of_all

    def entries(name: str) -> list[dict[str, Any]]:
        listed = usher.run("audit", "list", "--json", "--rows", "--connection", name)
        found: list[dict[str, Any]] = json.loads(listed.out)["entries"]
        return found

    assert "connection.forgotten" in {one["what"] for one in entries(LEAVER)}
    assert {one["guest"] for one in entries(LEAVER) if one["what"] == "row"} == {""}
    assert any(one["guest"] for one in entries(STAYER) if one["what"] == "row")
