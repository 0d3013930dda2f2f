"""What holds of a ledger at rest and between any two of its scripts, whatever has happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from tests.ledgers import Desk
from worker.ledger.model import FINAL, Ticket

CONNECTIONS = ("alfa", "beta")


async def check_ledger(desk: Desk, jobs: Mapping[str, str], deleted: Collection[str]) -> None:
    """Assert that counts are those of the letters, and each thing lies in just its lists.

    `jobs`: their connections, by their ids.
    """
    c, k = desk.ledger.client, desk.keys
    offers = [Ticket.parse(raw.decode()) for raw in await c.zrange(k.offers(), 0, -1)]
    leases = [Ticket.parse(raw.decode()) for raw in await c.zrange(k.leases(), 0, -1)]
    seats = {n.decode(): int(v) for n, v in (await c.hgetall(k.seats_of())).items()}
    assert seats == dict(Counter(t.connection for t in offers + leases))
    offered = {n.decode(): int(v) for n, v in (await c.hgetall(k.offered_of())).items() if int(v)}
    assert offered == dict(Counter(t.connection for t in offers))
    doubtful = {n: {raw.decode() for raw in await c.zrange(k.doubts(n), 0, -1)} for n in CONNECTIONS}
    for connection in CONNECTIONS:
        held = await c.hget(k.connection(connection), "gate") and not await c.hget(k.connection(connection), "probe_at")
        for rotation, due in ((k.rotation(connection), k.due()), (k.rotation_now(connection), k.due_now())):
            names = await c.lrange(rotation, 0, -1)
            assert len(names) == len(set(names))
            assert held or not names or await c.zscore(due, connection) is not None, "a connection would starve"
        assert not doubtful[connection] or await c.zscore(k.due_doubts(), connection) is not None
    for job, connection in jobs.items():
        f = {n.decode(): v.decode() for n, v in (await c.hgetall(k.job(job))).items()}
        back = [int(raw) for raw in await c.zrange(k.back(job), 0, -1)]
        assert len(back) == len(set(back)), "a chunk was given back twice"
        everything = ""
        waiting = []
        for number in range(int(f["chunks"])):
            fields = {n.decode(): v.decode("latin-1") for n, v in (await c.hgetall(k.chunk(job, number))).items()}
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
            rotations = (k.rotation(connection), k.rotation_now(connection))
            assert [r for r in rotations if await c.lpos(r, job) is not None], "a job would starve"
    names = await desk.names() if deleted else set()
    for job in deleted:
        assert not {f"job:{job}", f"job:{job}:back"} & names
        assert not [name for name in names if name.startswith(f"chunk:{job}:")]
