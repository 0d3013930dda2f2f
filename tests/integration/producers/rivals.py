"""Two producers, hr and crm, on one whole usher: a server with the ready users of Redis, a worker,
the console. Each has its own token, its own login at Redis, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import requests
from celery import Celery

from tasks.producer_logins import redis_user
from tests.consoles import Console
from tests.processes import ROOT, quick_usher, running, wait_until
from tests.sandboxes import connection_table
from tests.servers import start_valkey, stop_valkey
from tests.ushers import Usher, run_usher

HR, CRM, OLD = "hr-token-" + "h" * 40, "crm-token-" + "c" * 40, "hr-before-" + "o" * 40
"""Tokens: hr's, crm's, and one of hr's that was rolled off."""
LIMIT = 40
"""Rows a day of crm."""
_META = "usher:res:celery-task-meta-"


def _tables(ready: dict[str, Any]) -> str:
    folder = Path(ready["ca_file"]).parent.parent
    for name, token in {"hr": HR, "crm": CRM}.items():
        (folder / name).write_text(token)
    notify = '["hooks.example", "crm.example"]'
    bound = 'connections = ["contoso", "fabrikam"]\nnotify_hosts = ["crm.example"]'
    return "\n".join(
        [
            connection_table("contoso", ready),
            connection_table("fabrikam", ready, tags='["east"]'),
            connection_table("northwind", ready),
            f'[notify]\nsecret = "file:notify"\nhosts = {notify}',
            '[producers.hr]\ntoken = "file:hr"\nconnections = "contoso"\nnotify_hosts = "hooks.example"',
            f'[producers.crm]\ntoken = "file:crm"\n{bound}\ndaily_limit = {LIMIT}',
        ]
    )


def _start(folder: Path, stack: contextlib.ExitStack) -> tuple[str, str]:
    """Start Valkey with users: the worker's as the ready file has it, and those of the two."""
    (ready,) = [line for line in _lines() if line.startswith("user usher-worker ")]
    lines = [
        "user default off",
        "user admin on >admin ~* &* +@all",
        ready.replace("SHA256_OF_THE_WORKERS_PASSWORD", _sha256("worker")),
    ]
    lines += [redis_user(name, "usher", _sha256(name)) for name in ("hr", "crm")]
    rules = folder / "users.acl"
    rules.write_text("\n".join(lines) + "\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server, _ = start_valkey(folder, "--aclfile", str(rules), "--port", str(port), "--bind", "127.0.0.1")
    stack.callback(stop_valkey, server)
    return f"redis://usher-worker:worker@127.0.0.1:{port}/0", f"redis://hr:hr@127.0.0.1:{port}/0"


def _lines() -> list[str]:
    return (ROOT / "deploy/redis/users.acl").read_text(encoding="utf-8").splitlines()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Rival:
    """A producer, by what it alone has: its login at the broker and its token."""

    name: str
    token: str
    usher: Usher
    console: Console
    client: Celery = field(repr=False)
    redis: Any = field(repr=False)

    def send(self, task: str, *args: Any, id: str = "", token: Any = "", **kwargs: Any) -> str:  # noqa: A002
        """Send a task, with its own token and an id of its own unless told; return the id. `token`
        None: without one.
        """
        task_id = id or f"{self.name}-{uuid.uuid4()}"
        given = self.token if token == "" else token
        headers = {} if given is None else {"usher_token": given}
        self.client.send_task(task, args, kwargs, task_id=task_id, headers=headers)
        return task_id

    def ask(self, task: str, *args: Any, **given: Any) -> dict[str, Any]:
        """Send a task and return its result."""
        return self.read(self.send(task, *args, **given))

    def push(self, id: str, *args: Any, token: Any, body: str = "", **headers: Any) -> None:  # noqa: A002
        """Push a message by hand, as its login may: with any id, any token (None: a null) and any
        headers.
        """
        told = {"lang": "py", "task": "usher.job", "id": id, "usher_token": token, **headers}
        properties = {"delivery_tag": str(uuid.uuid4()), "delivery_info": {"exchange": "", "routing_key": "celery"}}
        message: dict[str, Any] = {"body": body or json.dumps([args, {}, {}]), "content-type": "application/json"}
        message |= {"content-encoding": "utf-8", "headers": told, "properties": properties}
        self.redis.lpush("usher:mq:celery", json.dumps(message))

    def read(self, task_id: str) -> dict[str, Any]:
        """Return a result when it is there."""
        answer = self.client.AsyncResult(task_id).get(timeout=90)
        assert isinstance(answer, dict), answer
        return answer

    def close(self) -> None:
        """Leave the server."""
        self.client.close()
        self.redis.close()

    def http(self, method: str, path: str, **given: Any) -> requests.Response:
        """Ask the console."""
        headers = {"Authorization": f"Bearer {self.token}", **given.pop("headers", {})}
        return self.console.ask(method, path, headers=headers, **given)


@dataclass
class Rivals:
    """Both of them, and what whoever runs usher sees."""

    usher: Usher
    hr: Rival
    crm: Rival
    root: Any = field(repr=False)

    def answered(self, task_id: str) -> dict[str, Any]:
        """Return the result of any id when it is there, as the worker's login reads it."""
        told = wait_until(lambda: self.root.get(_META + task_id), 40, f"a result of {task_id}")
        found: dict[str, Any] = json.loads(told)["result"]
        return found

    def ask_again(self, rival: Rival, task_id: str, task: str, *args: Any) -> dict[str, Any]:
        """Send a task under an id that has a result, which is forgotten; return the new one.

        It is read where it lies: Celery's client may take up late that the first was announced.
        """
        self.root.delete(_META + task_id)
        rival.send(task, *args, id=task_id)
        return self.answered(task_id)

    def refusals(self) -> list[dict[str, Any]]:
        """Return what the audit trail has of refusals, in their order."""
        return self.trail("producer.refused")

    def trail(self, what: str) -> list[dict[str, Any]]:
        """Return the audit trail's events of a kind, in their order."""
        found = []
        for key in sorted(self.root.scan_iter("usher:audit:*events*")):
            for _, fields in self.root.xrange(key):
                found += [json.loads(value) for value in fields.values()]
        return [event for event in found if event["what"] == what]


@contextlib.contextmanager
def run_rivals(folder: Path) -> Iterator[Rivals]:
    """Run all of it in `folder`."""
    options = ("--quota", "off", "--replication", "0")
    with contextlib.ExitStack() as stack:
        usher = stack.enter_context(run_usher(folder, sandbox_options=options, tables=_tables, start=_start))
        console = stack.enter_context(_run_console(usher))
        urls = [usher.producer_url.replace("hr:hr@", f"{name}:{name}@") for name in ("hr", "crm")]
        hr = open_rival("hr", HR, usher, console, urls[0])
        crm = open_rival("crm", CRM, usher, console, urls[1])
        root = redis.Redis.from_url(usher.redis_url)
        yield Rivals(usher, hr, crm, root)
        root.close()
        hr.close()
        crm.close()


@contextlib.contextmanager
def _run_console(usher: Usher) -> Iterator[Console]:
    log = usher.folder / "serve.log"
    with running((*quick_usher(), "serve", "--port", "0"), log, usher.env, usher.folder) as process:

        def told() -> str:
            words = log.read_text().partition("usher is at ")[2].split()
            return words[0] if words else ""

        wait_until(lambda: told() or process.poll() is not None, 30, "a server that is ready")
        assert told(), log.read_text()
        yield Console(told(), process, log)


def open_rival(name: str, token: str, usher: Usher, console: Console, url: str) -> Rival:
    """Return a producer that reaches Redis by a URL of its own."""
    client = Celery(name, broker=url, backend=url, set_as_current=False)
    client.conf.update(
        broker_transport_options={"global_keyprefix": "usher:mq:"},
        result_backend_transport_options={"global_keyprefix": "usher:res:"},
    )
    return Rival(name, token, usher, console, client, redis.Redis.from_url(url))
