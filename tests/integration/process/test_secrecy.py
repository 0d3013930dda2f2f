"""Everything a running system writes, searched for what nobody may find there: secrets, tokens,
redeem links, addresses.

`producers/test_secrecy.py` does the same for the producers' path and their careless messages; here
it is lists, doubt, trouble, poison, Flower, the command line and the private stack.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.processes import CELERY, plain_environment, running, wait_until
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher
from worker.ledger import packing

MARK = "private.example"
"""Every address ends so."""
NAME = "Geheim"
"""Every display name holds it."""
WRONG = "no-such-secret-7f3a"
OWN = ("usher:chunk:", "usher:job:")
"""Where rows may be. Links and tokens are sealed even there."""


def _tables(ready: dict[str, Any]) -> str:
    wrong = Path(ready["ca_file"]).parent / "wrong-secret"
    wrong.write_text(WRONG, encoding="utf-8")
    return "\n".join(
        [
            connection_table("contoso", ready, blocked_domains=f'["blocked.{MARK}"]'),
            connection_table("locked", ready, client_secret=f'"file:{wrong}"', tenant_id='"other.example"'),
            connection_table("away", ready, graph_url='"https://127.0.0.1:9"'),
        ]
    )


@dataclass
class Told:
    """What one system wrote, by where."""

    usher: Usher
    places: dict[str, bytes] = field(default_factory=dict, repr=False)
    secrets: list[str] = field(default_factory=list, repr=False)

    def search(self, *only: str) -> None:
        """Fail for the first thing found in one of the places."""
        for place, text in self.places.items():
            if only and not place.startswith(only):
                continue
            assert text, f"nothing at all in {place}"
            for secret in self.secrets:
                found = text.find(secret.encode())
                assert found < 0, f"{secret} in {place}: {text[max(0, found - 300) : found + 100]!r}"


class Listener:
    """Receives every event until it is stopped."""

    def __init__(self, usher: Usher) -> None:
        self.events: list[dict[str, Any]] = []
        self._usher, self._stop, self._bound = usher, threading.Event(), threading.Event()
        self._receiver: Any = None
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        assert self._bound.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(15)

    def _listen(self) -> None:
        with self._usher.client.connection_for_read() as connection:
            self._receiver = self._usher.client.events.Receiver(connection, handlers={"*": self._take})
            self._receiver.capture(limit=None, timeout=60, wakeup=True)

    def _take(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self._bound.set()
        self._receiver.should_stop = self._stop.is_set()  # a worker's heartbeat comes every two seconds


def _use_it(usher: Usher) -> str:
    """Let happen what can happen to a list and to a guest. Returns what the command line wrote to
    stderr.
    """
    errors = []
    rows = [{"email": f"g{n}@mail.{MARK}", "display_name": f"{NAME} {n}", "ref": f"r{n}"} for n in range(130)]
    rows += [{"email": "nobody at " + MARK}, {"email": f"x@blocked.{MARK}"}, dict(rows[0])]
    told = usher.ask("usher.invite_guests", "contoso", rows)
    assert usher.finished(told["job"])["invited"] == 130
    usher.sandbox.ask("faults", {"faults": [{"fault": "504-after", "on": ["item", "invite"], "every": 1}]})
    usher.ask("usher.invite_guest", "contoso", f"doubt@mail.{MARK}", display_name=NAME, wait_s=2)
    usher.sandbox.ask("faults", {"faults": []})
    usher.ask("usher.invite_guest", "locked", f"locked@mail.{MARK}", wait_s=1)
    usher.ask("usher.invite_guest", "away", f"away@mail.{MARK}", wait_s=1)
    listed = "email,display_name\n" + "".join(f"cli{n}@mail.{MARK},{NAME}\n" for n in range(30)) + f"bad {MARK},B\n"
    attempts: list[tuple[tuple[str, ...], dict[str, str]]] = [
        (("invite", "-", "-c", "contoso"), {}),
        (("invite", "-", "-c", "contoso", "--json"), {}),
        (("invite", "-", "-c", "contoso", "--dry-run"), {}),
        (("invite", "-", "-c", "locked"), {}),
        (("invite", "-", "-c", "contoso"), {"USHER_REDIS_URL": "redis://user:redis-word@127.0.0.1:1/0"}),
        (("connections", "check", "--all"), {}),
        (("jobs", "list"), {}),
        (("guests", "forget", f"cli1@mail.{MARK}"), {}),
    ]
    for arguments, env in attempts:
        done = usher.run(*arguments, text=listed, **env)
        errors.append(done.err)
    return "\n".join(errors)


def _poison(usher: Usher) -> None:
    """A row that no reader lets through lies in a chunk: whatever error that makes, its text stays
    out of the log.
    """
    assert usher.run("connections", "hold", "contoso", "--reason", "Poison").status == 0
    told = usher.ask("usher.invite_guests", "contoso", [{"email": f"p{n}@mail.{MARK}"} for n in range(3)])
    bad: list[dict[str, Any]] = [
        {"email": [f"p0@mail.{MARK}"]},
        {"email": {f"p1@mail.{MARK}": NAME}},
        {"email": f"p2@mail.{MARK}"},
    ]
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as made:
        database: Any = made
        database.hset(f"usher:chunk:{told['job']}:0", "rows", packing.pack_rows(bad))
        assert usher.run("connections", "reopen", "contoso").status == 0
        wait_until(lambda: "A fault of usher" in usher.log(), 20, "the poison in the log")
    assert usher.ask("usher.cancel", told["job"])["state"] == "cancelled"


@contextlib.contextmanager
def _flower(usher: Usher) -> Iterator[str]:
    """Run Flower without a login, its API open, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = (*CELERY, "flower", "--address=127.0.0.1", f"--port={port}", "--logging=debug")
    env = usher.env | {"FLOWER_UNAUTHENTICATED_API": "true"}
    with running(argv, usher.folder / "flower.log", env, usher.folder):
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return _get(f"{url}/api/workers")[0] == 200
            return False

        def hears() -> bool:
            usher.ask("usher.job", "none")
            return bool(json.loads(_get(f"{url}/api/tasks")[1]))

        wait_until(answers, 30, "Flower")
        wait_until(hears, 30, "a task in Flower")  # it asks for these events five seconds after its start
        yield url


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - http on loopback
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _browse(url: str) -> bytes:
    """Every page and every reading call of the API, each task's own among them."""
    pages = []
    status, listed = _get(f"{url}/api/tasks?limit=10000")
    assert status == 200
    tasks = json.loads(listed)
    assert {task["name"] for task in tasks.values()} >= {"usher.invite_guest", "usher.invite_guests", "usher.run_chunk"}
    status, workers = _get(f"{url}/api/workers?refresh=1")
    assert status == 200
    paths = ["/", "/workers", "/tasks", "/broker", "/metrics", "/api/queues/length", "/api/task/types"]
    paths += [f"/worker/{name}" for name in json.loads(workers)]
    # A task whose arrival Flower did not hear of has no name.
    by_name = {(task["name"], task["state"]): uuid for uuid, task in tasks.items()}
    for uuid in (*by_name.values(), *list(tasks)[:20]):
        paths += [f"/task/{uuid}", f"/api/task/info/{uuid}", f"/api/task/result/{uuid}?timeout=0.2"]
    for path in paths:
        _, page = _get(url + path)
        pages.append(path.encode() + b"\n" + page)
    return b"\n".join([listed, workers, *pages])


def _dump(usher: Usher, without: tuple[str, ...]) -> bytes:
    found: list[bytes] = []
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as made:
        database: Any = made
        for key in database.scan_iter(count=1000):
            if not key.decode(errors="replace").startswith(without or ("\0",)):
                found += [key, database.dump(key) or b"", *_values(database, key)]
    return b"\n".join(found)


def _values(database: Any, key: bytes) -> list[bytes]:
    read: dict[bytes, Any] = {
        b"string": lambda: [database.get(key) or b""],
        b"hash": lambda: [part for pair in database.hgetall(key).items() for part in pair],
        b"list": lambda: database.lrange(key, 0, -1),
        b"set": lambda: database.smembers(key),
        b"zset": lambda: database.zrange(key, 0, -1),
    }
    return [text for value in read.get(database.type(key), list)() for text in _readings(value)]


def _readings(value: bytes) -> Iterator[bytes]:
    """A value as it lies there, and what anybody can make of it without a key: decoded, and each
    compressed part of it.
    """
    yield value
    with contextlib.suppress(ValueError):
        yield base64.b64decode(value, validate=True)
    for header in re.finditer(rb"x[\x01\x5e\x9c\xda]", value):
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj().decompress(value[header.start() :])


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """A worker that sends events and logs at DEBUG, Flower, a listener, and all that they wrote
    while everything happened.
    """
    folder = Path(tempfile.mkdtemp(prefix="secr-", dir="/tmp"))
    try:
        options = ("--quota", "off", "--replication", "0")
        with run_usher(folder, "-E", "-l", "DEBUG", sandbox_options=options, tables=_tables) as usher:
            told = Told(usher)
            with _flower(usher) as url, Listener(usher) as listener:
                told.places["the command line's stderr"] = _use_it(usher).encode()
                _poison(usher)
                told.places["Flower's pages and API"] = _browse(url)
            told.places["Flower's log"] = (folder / "flower.log").read_bytes()
            told.places["events"] = json.dumps(listener.events, default=str).encode()
            told.places["answers"] = json.dumps(usher.answers).encode()
            told.places["Redis outside jobs and chunks"] = _dump(usher, OWN)
            mails = usher.sandbox.ask(f"mails?address=g0@mail.{MARK}")
            ticket = re.search(r"ticket=([^&]+)", mails[0]["redeem_url"])
            assert ticket
            told.secrets = [MARK, NAME, usher.sandbox.secret, WRONG, "redis-word", "eyJ0eXAi", ticket[1], "redeem?"]
            usher.client.close()
            usher.stop_worker()
            told.places["the worker's log at DEBUG"] = usher.log().encode()
            told.places["Redis as a whole"] = _dump(usher, ())
            yield told
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_worker_logs_nothing_of_it(told: Told) -> None:
    """At DEBUG, with failures, doubt and a poisoned chunk, whose traceback is there."""
    log = told.places["the worker's log at DEBUG"]
    assert b'"level": "debug"' in log
    assert b"Traceback" in log
    told.search("the worker's log")


def test_events_and_answers_carry_nothing_of_it(told: Told) -> None:
    """What Celery's monitors are fed, a failed task among it."""
    kinds = {event["type"] for event in json.loads(told.places["events"])}
    assert {"task-received", "task-started", "task-succeeded", "task-failed"} <= kinds
    told.search("events", "answers")


def test_flower_shows_nothing_of_it(told: Told) -> None:
    """Its pages, its API and its log."""
    told.search("Flower")


def test_the_command_line_says_nothing_of_it_on_the_way(told: Told) -> None:
    """stderr goes into logs of schedulers; bad rows are named by their line."""
    assert b"line 32: email" in told.places["the command line's stderr"]
    told.search("the command line")


def test_redis_holds_it_in_jobs_and_chunks_alone(told: Told) -> None:
    """Broker, results, index, tokens; and nowhere a secret, token or link without a key, jobs and
    chunks included.
    """
    told.search("Redis outside")
    whole = Told(told.usher, {"Redis": told.places["Redis as a whole"]})
    whole.secrets = [secret for secret in told.secrets if secret not in (MARK, NAME)]
    whole.search()


def test_the_private_stack_writes_nothing_of_it() -> None:
    """Every log of a stack that usher runs itself, and what its commands say."""
    folder = Path(tempfile.mkdtemp(prefix="secp-", dir="/tmp"))
    state = folder / "state"
    env = plain_environment(USHER_STATE_DIR=str(state), HOME=str(folder), USHER_GRACE_S="0.2")
    env.pop("XDG_RUNTIME_DIR", None)
    try:
        listed = "email,display_name\n" + "".join(f"s{n}@mail.{MARK},{NAME}\n" for n in range(60)) + f"bad {MARK},B\n"
        argv = [sys.executable, "-P", "-m", "cli", "invite", "-", "-c", "sandbox", "--json"]
        done = subprocess.run(argv, env=env, cwd=folder, input=listed, capture_output=True, text=True, timeout=90)
        assert json.loads(done.stdout)["invited"] == 60, done.stderr
        wait_until(lambda: not list((state / "logs").glob("*.sock")) and _is_over(env), 60, "the end of the stack")
        logs = {path.name: path.read_bytes() for path in (state / "logs").iterdir()}
        assert {"supervisor.log", "worker.log", "sandbox.log"} <= set(logs)
        secret = next((state / "sandbox-state").rglob("*secret*")).read_text(encoding="utf-8").strip()
        key = (state / "ledger.key").read_text(encoding="utf-8").strip()
        for place, text in {**logs, "stderr": done.stderr.encode(), "stdout": done.stdout.encode()}.items():
            for word in (MARK, NAME, secret, key, "eyJ0eXAi", "redeem?"):
                assert word.encode() not in text, f"{word} in {place}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_over(env: dict[str, str]) -> bool:
    from worker.stack.attachment import read_status

    return read_status(env) is None
