"""The producers' wire: the connections, guests and refusals of its tests, and all that lies in
Redis after them.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from tests.sandboxes import connection_table


def tables(ready: dict[str, Any]) -> str:
    """A connection that works, one whose secret is wrong, and one that nobody answers at."""
    wrong = Path(ready["ca_file"]).parent / "wrong-secret"
    wrong.write_text("no-such-secret-7f3a", encoding="utf-8")
    return "\n".join(
        [
            connection_table("contoso", ready, blocked_domains='["blocked.example"]'),
            connection_table("locked", ready, client_secret=f'"file:{wrong}"', tenant_id='"other.example"'),
            connection_table("away", ready, authority='"https://127.0.0.1:9/away.example"', tenant_id='"away.example"'),
        ]
    )


def address(name: str = "guest") -> str:
    """A new address, which a search for leaks finds: all of them end in `.private.example`."""
    return f"{name}-{uuid.uuid4().hex[:10]}@mail.private.example"


def refusal(answer: dict[str, Any]) -> str:
    """The sentences of a refusal, which carries nothing else."""
    assert answer["status"] == "refused", answer
    assert set(answer) == {"status", "errors"}
    assert answer["errors"]
    assert all(isinstance(sentence, str) and sentence.endswith((".", "?")) for sentence in answer["errors"]), answer
    return " ".join(answer["errors"])


def _values(database: Any, key: bytes) -> list[bytes]:
    match database.type(key):
        case b"string":
            return [database.get(key) or b""]
        case b"hash":
            return [part for pair in database.hgetall(key).items() for part in pair]
        case b"list":
            return list(database.lrange(key, 0, -1))
        case b"set":
            return list(database.smembers(key))
        case b"zset":
            return list(database.zrange(key, 0, -1))
        case _:
            return []


def dump(database: Any, prefix: str = "", without: tuple[str, ...] = ()) -> bytes:
    """Every key and value in Redis whose name begins with `prefix`, as bytes."""
    found: list[bytes] = []
    for key in database.scan_iter(f"{prefix}*", count=1000):
        if key.decode(errors="replace").startswith(without or ("\0",)):
            continue
        found += [key, *_values(database, key)]
    return b"\n".join(found)
