"""The ready ACL file: a worker and a producer do all of their work with its users, and each can do
no more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.brokers import free_port
from tests.processes import CELERY, ROOT, Ended, running, wait_until
from tests.scrapes import pick, run_metrics
from tests.servers import find_valkey, start_valkey, stop_valkey
from tests.ushers import Usher, run_usher

RULES = ROOT / "deploy" / "redis" / "users.acl"
WORDS = {
    "WORKERS": "worker-word",
    "COMMANDS": "cli-word",
    "CONSOLES": "console-word",
    "BEATS": "beat-word",
    "FLOWERS": "flower-word",
    "PRODUCERS": "producer-word",
    "READERS": "reader-word",
}


def _start(folder: Path, stack: contextlib.ExitStack) -> tuple[str, str]:
    text = RULES.read_text(encoding="utf-8")
    for who, word in WORDS.items():
        text = text.replace(f"SHA256_OF_THE_{who}_PASSWORD", hashlib.sha256(word.encode()).hexdigest())
    rules = folder / "users.acl"
    rules.write_text(text, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server, _ = start_valkey(folder, "--aclfile", str(rules), "--port", str(port), "--bind", "127.0.0.1")
    stack.callback(stop_valkey, server)
    at = f"127.0.0.1:{port}/0"
    return f"redis://usher-worker:worker-word@{at}", f"redis://usher-producer:producer-word@{at}"


@pytest.fixture(scope="module")
def usher() -> Iterator[Usher]:
    """A worker that sends events, and a producer, each with its own user."""
    folder = Path(tempfile.mkdtemp(prefix="acl-", dir="/tmp"))
    try:
        with run_usher(
            folder, "-E", "-l", "INFO", sandbox_options=("--quota", "off", "--replication", "0"), start=_start
        ) as it:
            yield it
            it.client.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def job(usher: Usher) -> str:
    """A finished job of 30 guests."""
    told = usher.ask(
        "usher.invite_guests", "contoso", [{"email": f"g{n}@fabrikam.example"} for n in range(30)], resend=True
    )
    assert usher.finished(told["job"])["invited"] == 30
    return str(told["job"])


def _url_of(usher: Usher, user: str) -> str:
    return usher.redis_url.replace("usher-worker:worker-word", f"usher-{user}:{user}-word")


def _client(usher: Usher, user: str) -> Any:
    return contextlib.closing(redis.Redis.from_url(_url_of(usher, user)))


def _run_as(usher: Usher, user: str, *arguments: str) -> Ended:
    return usher.run(*arguments, USHER_REDIS_URL=_url_of(usher, user))


def test_worker_and_producer_do_their_work(usher: Usher, job: str) -> None:
    """One guest and a list, results, control commands, events: and nothing that anybody needed was
    refused.
    """
    assert usher.ask("usher.invite_guest", "contoso", "ann@fabrikam.example")["status"] == "invited"
    assert len(usher.ask("usher.results", job)["rows"]) == 30
    assert usher.ask_with("usher.job", [job], {}, priority=6)["job"] == job  # a list of its own, on Redis
    done = _run_as(usher, "cli", "invite", "zoe@fabrikam.example", "-c", "contoso", "--json")
    assert done.status == 0, done.err
    assert _run_as(usher, "cli", "jobs", "delete", job).status == 0
    inspected = subprocess.run(
        [*CELERY, "inspect", "ping"], env=usher.env, cwd=usher.folder, capture_output=True, text=True, timeout=60
    )
    assert "pong" in inspected.stdout
    assert "perm" not in usher.log().lower()


def test_beat_runs_with_a_user_of_its_own(usher: Usher) -> None:
    """It takes the schedules over from the configuration, fires them, goes round connections and
    takes off what stands there no more; it reads neither a job nor a queue.
    """
    log = usher.folder / "beat.log"
    config = usher.folder / "beat.toml"
    schedule = '[schedules.often]\ntask = "check_connections"\nevery = "1s"\n'
    round_ = '[schedules.round]\ntask = "check_connections"\nconnection = "all"\nevery = "1s"\n'
    text = (usher.folder / "usher.toml").read_text() + schedule
    config.write_text(text + round_)
    env = usher.env | {"USHER_CONFIG": str(config), "USHER_REDIS_URL": _url_of(usher, "beat")}
    with running((*CELERY, "beat", "-l", "INFO"), log, env, usher.folder):
        wait_until(lambda: log.read_text().count("Sending due task often") > 1, 20, "two firings")
        wait_until(lambda: log.read_text().count("schedule round: ") > 2, 20, "two rounds")
        config.write_text(text)
        wait_until(lambda: "schedule round: no longer" in log.read_text(), 20, "the schedule taken off")
    assert "perm" not in log.read_text(encoding="utf-8").lower()
    _refuses(
        usher, "beat", ("HGETALL", "usher:job:x"), ("LRANGE", "usher:mq:celery", 0, -1), ("GET", "usher:index-key")
    )


def test_flower_shows_workers_and_tasks_with_a_user_of_its_own(usher: Usher, job: str) -> None:
    """It hears events and asks workers; it reads no job and no message, and puts none into a
    queue.
    """
    log = usher.folder / "flower.log"
    port = free_port()
    env = usher.env | {"USHER_REDIS_URL": _url_of(usher, "flower"), "FLOWER_UNAUTHENTICATED_API": "1"}

    def look(path: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    with running((*CELERY, "flower", f"--port={port}"), log, env, usher.folder):
        wait_until(lambda: look("/api/workers?refresh=1"), 30, "a worker in Flower")
        done = _run_as(usher, "cli", "invite", f"{job}@fabrikam.example", "-c", "contoso", "--json")
        assert done.status == 0, done.err
        wait_until(lambda: "usher.run_chunk" in str(look("/api/tasks")), 20, "a task in Flower")
        queues = look("/api/queues/length")
        assert "usher.bulk" in str(queues), queues
    assert "perm" not in log.read_text(encoding="utf-8").lower()
    _refuses(
        usher,
        "flower",
        ("HGETALL", f"usher:job:{job}"),
        ("LRANGE", "usher:mq:celery", 0, -1),
        ("LPUSH", "usher:mq:celery", "x"),
        ("GET", "usher:index-key"),
        ("HSET", "usher:programs", "x", "y"),
    )


def _refuses(usher: Usher, user: str, *commands: tuple[Any, ...]) -> None:
    with _client(usher, user) as client:
        for command in (*commands, ("FLUSHDB",), ("KEYS", "*"), ("CONFIG", "GET", "*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


def test_a_producer_sends_and_takes_its_own_results_and_no_more(usher: Usher, job: str) -> None:
    """Not a job, not a chunk, not another producer's message or result, no other queue; nor may it
    do what administrators do.
    """
    with _client(usher, "producer") as producer:
        for name in ("chunk", "job"):
            key = f"usher:{name}:{job}" + (":0" if name == "chunk" else "")
            with pytest.raises(redis.exceptions.NoPermissionError):
                producer.hgetall(key)
        for command in (
            ("LRANGE", "usher:mq:celery", 0, -1),
            ("RPOP", "usher:mq:celery"),
            ("LPUSH", "usher:mq:usher.schedules", "{}"),
            ("LPUSH", "usher:mq:usher.bulk", "{}"),
            ("LLEN", "usher:mq:unacked"),
            ("SADD", "usher:mq:_kombu.binding.usher.bulk", "x"),
            ("DEL", "usher:mq:celery"),
            ("UNLINK", "usher:mq:celery"),
            ("EXPIRE", "usher:mq:celery", 0),
            ("LTRIM", "usher:mq:celery", 1, 0),
            ("RENAME", "usher:mq:celery", "usher:mq:gone"),
            ("SCAN", 0),
            ("DBSIZE",),
            ("PUBSUB", "CHANNELS"),
            ("GET", "usher:res:celery-task-meta-another-1"),
            ("SET", "usher:res:celery-task-meta-producer-1", "x"),
            ("SUBSCRIBE", "usher:res:celery-task-meta-another-1"),
            ("EVAL", "return 1", 0),
            ("SCRIPT", "LOAD", "return 1"),
            ("SET", "usher:hold", 1),
            ("EVAL", f"return redis.call('HGETALL', 'usher:chunk:{job}:0')", 0),
            ("FLUSHDB",),
            ("KEYS", "*"),
            ("CONFIG", "GET", "*"),
            ("SUBSCRIBE", "usher:mq:/0.celeryev"),
        ):
            with pytest.raises(redis.exceptions.ResponseError, match="(?i)permission|can't"):
                producer.execute_command(*command)


def test_a_reader_sees_and_changes_nothing(usher: Usher, job: str) -> None:
    """The commands that only look, work; the others are a sentence and status 2."""
    for arguments in (("jobs", "list"), ("jobs", "show", job), ("connections", "list")):
        done = _run_as(usher, "reader", *arguments)
        assert done.status == 0, done.err
    results = _run_as(usher, "reader", "jobs", "results", job)
    assert results.out.count("invited") == 30
    changes: list[list[str]] = [["jobs", "delete", job], ["connections", "hold", "contoso", "--reason", "x"]]
    for change in changes:
        done = _run_as(usher, "reader", *change)
        assert done.status == 2
        assert "Redis" in done.err
    with _client(usher, "reader") as reader, pytest.raises(redis.exceptions.NoPermissionError):
        reader.get("usher:index-key")


def test_a_reader_is_told_of_a_submitter_who_has_gone(usher: Usher, job: str) -> None:
    """A job that loads is shown like any other."""
    key = f"usher:job:{job}"
    with _client(usher, "worker") as client:
        client.hset(key, "state", "loading")
        client.zadd("usher:loading", {job: (client.time()[0] - 90) * 1000})
        try:
            told = [_run_as(usher, "reader", "jobs", *words) for words in (("list",), ("show", job))]
        finally:
            client.zrem("usher:loading", job)
            client.hset(key, "state", "done")
    said = [(done.status, "submitter was last heard of" in done.out + done.err) for done in told]
    assert said == [(0, True)] * 2, told


def test_a_worker_cannot_wipe_the_server(usher: Usher) -> None:
    """Nor look at what is not usher's."""
    with _client(usher, "worker") as worker:
        for command in (("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("GET", "other:key"), ("ACL", "LIST")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                worker.execute_command(*command)


def test_the_file_as_it_is_starts_no_server(tmp_path: Path) -> None:
    """Its placeholders are no passwords that somebody could leave in."""
    argv = [find_valkey(), "--port", "0", "--dir", str(tmp_path), "--aclfile", str(RULES)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert "password" in (done.stdout + done.stderr).lower()


def test_metrics_are_read_with_the_readers_user(usher: Usher, job: str) -> None:
    """Whoever only looks may look at the whole installation, doubts, quota and schedules
    included.
    """
    url = usher.redis_url.replace("usher-worker:worker-word", "usher-reader:reader-word")
    with run_metrics(usher.folder, "--listen", "127.0.0.1:0", **{**usher.env, "USHER_REDIS_URL": url}) as metrics:
        series = metrics.scrape()
    assert pick(series, "usher_ledger_up") == 1
    assert pick(series, "usher_rows_total", connection="contoso", outcome="invited") >= 30


def test_composes_logins_open_its_server(tmp_path: Path) -> None:
    """What `deploy/compose/init` writes is what the server takes; the user of its health check may
    do nothing but PING.
    """
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    secrets = tmp_path / "deploy/compose/secrets"
    for path in secrets.iterdir():
        path.unlink()
    subprocess.run(["sh", "deploy/compose/init"], cwd=tmp_path, check=True, capture_output=True)
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="acl-", dir="/tmp"))
    options = ("--aclfile", str(secrets / "redis_users"), "--port", str(port), "--bind", "127.0.0.1")
    server, _ = start_valkey(folder, *options)
    try:
        for role in ("worker", "cli", "beat", "flower", "metrics", "producers"):
            url = (secrets / f"redis_{role}").read_text().strip().replace("@redis:6379", f"@127.0.0.1:{port}")
            with contextlib.closing(redis.Redis.from_url(url)) as client:
                assert client.ping()
        health: Any = redis.Redis(port=port, username="health", password="any")
        with contextlib.closing(health):
            assert health.ping()
            for command in ("INFO",), ("GET", "usher:hold"), ("KEYS", "*"), ("CLIENT", "LIST"):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    health.execute_command(*command)
    finally:
        stop_valkey(server)
        shutil.rmtree(folder)


def test_the_linux_servers_page_makes_logins_that_its_server_takes(tmp_path: Path) -> None:
    """The page's own lines, in folders of this test: every role has a login, and nobody else gets
    in.
    """
    page = (ROOT / "docs/linux-server.md").read_text(encoding="utf-8")
    lines = page[page.index("    install -o redis") : page.index("    chgrp usher /etc/usher/secrets/*")]
    script = (
        lines.replace("-o redis -g redis ", "").replace("/etc/", f"{tmp_path}/etc/").replace("/opt/usher", str(ROOT))
    )
    secrets, users = tmp_path / "etc/usher/secrets", tmp_path / "etc/redis/users.acl"
    for folder in (secrets, users.parent):
        folder.mkdir(parents=True)
    subprocess.run(["bash", "-euc", script], check=True, capture_output=True)
    port = free_port()
    place = Path(tempfile.mkdtemp(prefix="acl-", dir="/tmp"))
    server, _ = start_valkey(place, "--aclfile", str(users), "--port", str(port), "--bind", "127.0.0.1")
    try:
        for role in ("worker", "cli", "beat"):
            url = (secrets / f"redis_{role}").read_text().strip().replace(":6379", f":{port}")
            with contextlib.closing(redis.Redis.from_url(url)) as client:
                assert client.ping()
        with contextlib.closing(redis.Redis(port=port)) as client, pytest.raises(redis.exceptions.AuthenticationError):
            client.ping()
    finally:
        stop_valkey(server)
        shutil.rmtree(place)
