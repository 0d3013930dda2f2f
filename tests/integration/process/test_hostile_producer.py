"""A producer that means harm: two thousand messages of every kind, to one real worker. It gets
answers, and nothing else happens.
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import json
import lzma
import random
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.processes import wait_until
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher

MESSAGES = 2_000
MOST_MEMORY_MB = 300
QUEUE = "usher:mq:celery"
VICTIM = "victim@mail.private.example"
TASKS = ("invite_guest", "invite_guests", "job", "results", "cancel", "check")
OTHERS = (
    "usher.scheduled",
    "usher.run_chunk",
    "usher.settle",
    "celery.map",
    "celery.starmap",
    "celery.chain",
    "celery.chord",
    "celery.backend_cleanup",
    "os.system",
    "",
    "x" * 5_000,
)
EVIL = {"task": "portal.pay", "args": [VICTIM], "kwargs": {}, "options": {"queue": "stolen"}, "immutable": True}
INVITE = {"task": "usher.invite_guest", "args": ["contoso", VICTIM], "kwargs": {}, "options": {}, "immutable": True}


@pytest.fixture(scope="module")
def usher() -> Iterator[Usher]:
    """One worker, with a secret for webhooks and a connection that is never to be used."""
    folder = Path(tempfile.mkdtemp(prefix="evil", dir="/tmp"))
    (folder / "notify").write_text("a secret\n", encoding="utf-8")

    def tables(ready: dict[str, Any]) -> str:
        return f'{connection_table("contoso", ready)}\n[notify]\nsecret = "file:{folder / "notify"}"\n'

    try:
        with run_usher(folder, "-l", "INFO", sandbox_options=("--quota", "off"), tables=tables) as running:
            yield running
            running.client.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Producer:
    """Makes messages; the same ones each time."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ids: list[str] = []  # of messages that an answer is owed to
        self.kinds: tuple[Callable[[], bytes], ...] = (
            self.junk,
            self.odd_envelope,
            self.odd_headers,
            self.odd_body,
            self.odd_arguments,
            self.embeds,
            self.first_protocol,
            self.foreign_task,
            self.elsewhere,
            self.later,
            self.inward,
            self.squeezed,
        )

    def make(self, number: int) -> bytes:
        """Make one; of all of them a few are huge."""
        if number % 400 == 7:
            return self.huge()
        return self.kinds[number % len(self.kinds)]()

    def new_id(self) -> str:
        self.ids.append(f"evil-{len(self.ids)}")
        return self.ids[-1]

    def value(self, depth: int = 3) -> Any:
        """Any value that JSON can hold."""
        pick = self.chance.choice
        if depth and self.chance.random() < 0.5:
            inner = [self.value(depth - 1) for _ in range(self.chance.randrange(4))]
            return pick((inner, {str(self.value(0)): each for each in inner}, {"__type__": "uuid", "__value__": inner}))
        return pick((None, True, -1, 10**40, 1e308, "", "x", VICTIM, "\x00\x1b[2J", "ü" * 300, "\ud800", "usher:hold"))

    def wrap(self, body: Any, *, encoded: str | None = "base64", **more: Any) -> bytes:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        properties = {
            "body_encoding": encoded,
            "delivery_tag": self.chance.choice(("same", str(self.chance.random()))),
            "delivery_info": self.chance.choice(
                ({}, {"exchange": "", "routing_key": "celery"}, {"exchange": "", "routing_key": "usher.bulk"})
            ),
            **more.pop("properties", {}),
        }
        return json.dumps(
            {
                "body": base64.b64encode(text).decode(),
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "properties": properties,
                **more,
            }
        ).encode()

    def task(self, name: str, args: Any, kwargs: Any, embed: Any = None, **headers: Any) -> bytes:
        return self.wrap([args, kwargs, embed], headers={"task": name, "id": self.new_id(), **headers})

    def junk(self) -> bytes:
        """No message at all."""
        return self.chance.choice(
            (
                b"",
                b"\xff\xfe\x00",
                b"null",
                b"[" * 50_000,
                b'{"body": 7}',
                self.chance.randbytes(40),
                b"{}" * 9,
                b"1e999",
            )
        )

    def odd_envelope(self) -> bytes:
        """A message whose parts are of any type."""
        names = ("body", "headers", "properties", "content-type", "content-encoding")
        told = {name: self.value() for name in names if self.chance.random() < 0.8}
        if self.chance.random() < 0.7:
            inner = ("body_encoding", "delivery_tag", "delivery_info", "priority", "correlation_id", "reply_to")
            told["properties"] = {name: self.value() for name in inner}
        return json.dumps(told).encode()

    def odd_headers(self) -> bytes:
        """A task that is asked for in order, and headers of any type."""
        names = ("lang", "root_id", "group", "expires", "retries", "timelimit", "shadow", "stamps", "stamped_headers")
        more = ("argsrepr", "origin", "parent_id", "group_index", "replaced_task_nesting", "chord", "callbacks", "meth")
        odd = {name: self.value() for name in names + more if name != "expires" or self.chance.random() < 0.1}
        return self.task("usher.job", ["aaaaaaaaaa"], {}, **{**odd, "ignore_result": False})

    def odd_body(self) -> bytes:
        """A body that is no call."""
        return self.wrap(self.value(), headers={"task": "usher.job", "id": self.new_id()})

    def odd_arguments(self) -> bytes:
        """Arguments of any type for a task of usher's."""
        name = self.chance.choice(TASKS)
        names = ("connection", "email", "rows", "key", "id", "after", "limit", "wait_s", "version", "self", "notify")
        kwargs = {each: self.value() for each in names if self.chance.random() < 0.4}
        return self.task(f"usher.{name}", [self.value() for _ in range(self.chance.randrange(5))], {**kwargs, "x y": 1})

    def embeds(self) -> bytes:
        """A call after which the worker is to send others."""
        call = self.chance.choice((EVIL, INVITE))
        embed = self.chance.choice(
            (
                {"callbacks": [call]},
                {"chain": [call]},
                {"errbacks": [call]},
                {"chord": call},
                {"link": [call], "chain": [5]},
            )
        )
        name, args = self.chance.choice((("usher.job", ["aaaaaaaaaa"]), ("usher.invite_guest", ["nobody", VICTIM])))
        return self.task(name, args, {}, embed, group="g", group_index=0)

    def first_protocol(self) -> bytes:
        """The same in the old form, where all stands in the body."""
        told = {"task": "usher.job", "id": self.new_id(), "args": ["aaaaaaaaaa"], "kwargs": {}}
        odd: dict[str, Any] = self.chance.choice(
            (
                {"callbacks": [EVIL]},
                {"errbacks": [EVIL], "retries": 1},
                {"chord": EVIL},
                {"taskset": "t"},
                {"stamps": {}},
            )
        )
        return self.wrap(
            {**told, **odd}, headers=self.chance.choice(({}, None, {"callbacks": [EVIL], "chain": [EVIL]}))
        )

    def foreign_task(self) -> bytes:
        """A task that is not for producers."""
        name = self.chance.choice(OTHERS)
        kwargs = self.chance.choice(
            (
                {"name": "nightly", "due_ms": "x"},
                {"name": "nightly", "due_ms": 1, "by": VICTIM},
                {"task": INVITE, "it": [["contoso", VICTIM]]},
                {"fence": 1, "lane": "bulk"},
            )
        )
        return self.task(name, self.chance.choice(([], ["aaaaaaaaaa", 0, "contoso"])), kwargs)

    def elsewhere(self) -> bytes:
        """A message that says that it came by another queue, for a task that is taken there
        alone.
        """
        name, queue = self.chance.choice((("usher.run_chunk", "usher.bulk"), ("usher.scheduled", "usher.schedules")))
        body = [["aaaaaaaaaa", 0, "contoso"], {"fence": 1, "lane": "bulk"}, {}]
        info = {"exchange": queue, "routing_key": queue}
        return self.wrap(body, headers={"task": name, "id": self.new_id()}, properties={"delivery_info": info})

    def later(self) -> bytes:
        """A call for a time that never comes."""
        eta = self.chance.choice(
            ("2999-01-01T00:00:00+00:00", "9999-99-99T00:00:00", "yesterday", "0001-01-01T00:00:00")
        )
        return self.task("usher.invite_guest", ["contoso", VICTIM], {"message": "x" * 10_000}, eta=eta)

    def inward(self) -> bytes:
        """A list that would make a worker call an address inside the network."""
        target = self.chance.choice(
            (
                "http://127.0.0.1:6379/",
                "https://169.254.169.254/latest",
                "https://10.0.0.1/",
                "celery:usher.cancel@celery",
            )
        )
        return self.task("usher.invite_guests", ["contoso", [{"email": VICTIM}]], {"notify": target})

    def squeezed(self) -> bytes:
        """A small body that is 50 MB once it is unpacked."""
        kind, squeeze = self.chance.choice(
            (("application/x-gzip", zlib.compress), ("bzip2", bz2.compress), ("xz", lzma.compress), ("rot13", _same))
        )
        return self.wrap(_bomb(squeeze), headers={"task": "usher.job", "id": self.new_id(), "compression": kind})

    def huge(self) -> bytes:
        """Megabytes: of text, and of what grows when it is read."""
        body: Any = self.chance.choice(
            (b'[["' + b"x" * 20_000_000 + b'"], {}, {}]', b"[[" + b"{}," * 900_000 + b"1], {}, {}]")
        )
        return self.wrap(body, headers={"task": "usher.job", "id": self.new_id()})


def _same(raw: bytes) -> bytes:
    return raw[:100]


_bombs: dict[Any, bytes] = {}


def _bomb(squeeze: Callable[[bytes], bytes]) -> bytes:
    if squeeze not in _bombs:
        _bombs[squeeze] = squeeze(b'[["' + b"a" * 50_000_000 + b'"], {}, {}]')
    return _bombs[squeeze]


def _peak_mb(pid: int) -> float:
    """The most memory that a process ever had."""
    (kb,) = re.findall(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)
    return int(kb) / 1024


def test_a_hostile_producer_gets_answers_and_nothing_else(usher: Usher) -> None:
    """No traceback, no stop, no memory beyond 300 MB, nobody mailed, nothing sent on, no key but
    results; every id is answered.
    """
    producer = Producer(4711)
    assert usher.ask("usher.job", "aaaaaaaaaa")["status"] == "refused"
    assert usher.worker is not None
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        before = _written(database)
        for start in range(0, MESSAGES, 50):
            database.lpush(QUEUE, *(producer.make(number) for number in range(start, start + 50)))
            wait_until(lambda: database.llen(QUEUE) < 100, 60, "most of what lies there")

        def all_done() -> bool:
            return not database.exists(QUEUE, "usher:mq:unacked", "usher:mq:unacked_index")

        wait_until(all_done, 60, "the end of all of them")
        meta: list[Any] = database.mget([f"usher:res:celery-task-meta-{each}" for each in producer.ids])
        after = _written(database)
    silent = [each for each, raw in zip(producer.ids, meta, strict=True) if raw is None]
    assert not silent, (len(silent), silent[:5], usher.log()[-2000:])
    odd = [told for raw in meta if not _is_answer(told := json.loads(raw))]
    assert not odd, odd[:3]
    assert after - before == set(), "something was written"
    log = usher.log()
    assert "Traceback" not in log
    assert 'File "' not in log
    assert VICTIM not in log
    assert "\x1b" not in log
    assert usher.worker.poll() is None
    assert not usher.sandbox.ask("mails")
    assert usher.ask("usher.job", "aaaaaaaaaa")["status"] == "refused"
    peak_mb = _peak_mb(usher.worker.pid)
    assert peak_mb < MOST_MEMORY_MB


def _written(database: Any) -> set[bytes]:
    """Every key but the results, and what a worker writes of itself."""
    own = {
        f"usher:{name}".encode()
        for name in ("healed", "meters", "workers", "worker-seats", "here", "programs", "epoch")
    }
    return {key for key in database.scan_iter("usher:*", 1000) if b":res:" not in key} - own


def _is_answer(told: dict[str, Any]) -> bool:
    """Whether a stored result is a refusal (or, where the message was to be old by now, that it
    is).
    """
    if told["status"] == "REVOKED":
        return True
    result = told["result"]
    return told["status"] == "SUCCESS" and isinstance(result, dict) and result.get("status") == "refused"
