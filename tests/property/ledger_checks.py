"""What holds of a ledger at rest and between any two of its scripts, whatever has happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from tests.ledgers import Desk
from worker.ledger.model import FINAL, Ticket

CONNECTIONS = ("alfa", "beta")


async def _ask(desk: Desk, *commands: tuple[Any, ...]) -> list[Any]:
    """Ask for all of it on one way: this is asked after every step."""
    async with desk.client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return list(await pipe.execute())


def _texts(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in raw.items()}


def _all_of(key: str) -> tuple[Any, ...]:
    return "ZRANGE", key, 0, -1


async def check_ledger(desk: Desk, jobs: Mapping[str, str], deleted: Collection[str]) -> None:
    """Assert that counts are those of the letters, and each thing lies in just its lists.

    `jobs`: their connections, by their ids.
    """
    k = desk.keys
    raw_offers, raw_leases, raw_seats, raw_offered = await _ask(
        desk, _all_of(k.offers()), _all_of(k.leases()), ("HGETALL", k.seats_of()), ("HGETALL", k.offered_of())
    )
    offers, leases = ([Ticket.parse(raw.decode()) for raw in found] for found in (raw_offers, raw_leases))
    seats = {name: int(n) for name, n in _texts(raw_seats).items()}
    assert seats == dict(Counter(t.connection for t in offers + leases))
    offered = {name: int(n) for name, n in _texts(raw_offered).items() if int(n)}
    assert offered == dict(Counter(t.connection for t in offers))
    doubtful: dict[str, set[str]] = {}
    rotating: dict[str, list[bytes]] = {}
    for name in CONNECTIONS:
        gate, probe_at, doubts, due_doubts, *rotations = await _ask(
            desk,
            ("HGET", k.connection(name), "gate"),
            ("HGET", k.connection(name), "probe_at"),
            _all_of(k.doubts(name)),
            ("ZSCORE", k.due_doubts(), name),
            ("LRANGE", k.rotation(name), 0, -1),
            ("ZSCORE", k.due(), name),
            ("LRANGE", k.rotation_now(name), 0, -1),
            ("ZSCORE", k.due_now(), name),
        )
        held = gate and not probe_at
        for names, due_at in (rotations[:2], rotations[2:]):
            assert len(names) == len(set(names))
            assert held or not names or due_at is not None, "a connection would starve"
        rotating[name] = rotations[0] + rotations[2]
        doubtful[name] = {raw.decode() for raw in doubts}
        assert not doubts or due_doubts is not None
    for job, connection in jobs.items():
        raw_job, raw_back = await _ask(desk, ("HGETALL", k.job(job)), _all_of(k.back(job)))
        f, back = _texts(raw_job), [int(raw) for raw in raw_back]
        assert len(back) == len(set(back)), "a chunk was given back twice"
        everything = ""
        waiting = []
        chunks = await _ask(desk, *(("HGETALL", k.chunk(job, number)) for number in range(int(f["chunks"]))))
        for number, fields in enumerate(map(_texts, chunks)):
            letters = fields["st"]
            everything += letters
            sending = sorted(
                int(i.rstrip("q"))
                for n, v in fields.items()
                if n[0] == "b" and n[1:].isdigit()
                for i in v.partition(";")[0].split(",")[1:]
            )
            assert {i for i, x in enumerate(letters) if x == "s"} <= set(sending)
            assert len(sending) == len(set(sending)), "a row is on the wire twice"
            in_doubt = {i for i, x in enumerate(letters) if x == "d"}
            assert in_doubt == {int(n[1:]) for n in fields if n[0] == "d" and n[1:].isdigit()}
            assert {f"{job}:{number}:{i}" for i in in_doubt} == {
                m for m in doubtful[connection] if m.startswith(f"{job}:{number}:")
            }
            mine = [t for t in offers if (t.job, t.chunk) == (job, number)]
            held_by = [t for t in leases if (t.job, t.chunk) == (job, number)]
            phase = fields.get("ph", "")
            assert (len(mine), len(held_by)) == {"o": (1, 0), "l": (0, 1)}.get(phase, (0, 0))
            if phase != "l":
                assert "s" not in letters, "a row waits for an answer that nobody will record"
            if phase == "" and number < int(f["next"]):
                waiting.append(number)
            if phase == "x":
                assert "." not in letters
        if f["state"] in ("running", "paused"):
            assert sorted(back) == waiting
        counts = Counter(everything)
        assert {x: int(f.get(f"n:{x}", 0)) for x in FINAL} == {x: counts[x] for x in FINAL}
        assert int(f["open"]) == counts["s"] + counts["d"]
        assert int(f["rows"]) == len(everything)
        ended = sum(counts[x] for x in FINAL) == len(everything)
        assert f["state"] != "done" or ended
        assert not ended or f["state"] in ("done", "cancelled")
        assert ("finished_at" in f) == (ended or (f["state"] == "cancelled" and int(f["open"]) == 0))
        last = int(f.get("limit", f["chunks"]))
        if f["state"] == "running" and (waiting or int(f["next"]) < last):
            assert job.encode() in rotating[connection], "a job would starve"
    names = await desk.names() if deleted else set()
    for job in deleted:
        assert not {f"job:{job}", f"job:{job}:back"} & names
        assert not [name for name in names if name.startswith(f"chunk:{job}:")]
