"""`usher guests forget`: afterwards nothing in Redis names the person, and everybody else's rows
are as they were.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.ledgers import Desk, open_desk
from worker.errors import LedgerBusy, LedgerError, SealBroken
from worker.ledger import packing
from worker.ledger.batches import Ledger
from worker.ledger.guests.disabled import Disabled
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.model import IndexPlace, Lane, Options, Outcome, RowState
from worker.people.forget import forget
from worker.store.keyring import FindSealer, no_sealer
from worker.store.seal import Sealer

ANN = "Ann.Private@Bücher.example"
SPELLED = "ann.private@XN--BCHER-KVA.example"
LINK = "https://login.example/redeem?ticket="


@pytest.fixture
async def desk(valkey_url: str) -> AsyncIterator[Desk]:
    """A ledger that seals links."""
    async with open_desk(valkey_url, sealer=Sealer(["k" * 32])) as desk:
        yield desk


def rows_with_ann() -> list[dict[str, Any]]:
    """Five rows, two of which name her."""
    rows: list[dict[str, Any]] = [
        {"email": f"g{n}@example.com", "display_name": f"G {n}", "ref": f"r{n}"} for n in range(5)
    ]
    rows[2] = {"email": ANN, "display_name": "Ann Private", "ref": "ann-ref", "message": "Dear Ann Private"}
    rows[3]["cc"] = SPELLED
    return rows


async def load(desk: Desk, job: str, rows: Sequence[dict[str, Any]]) -> None:
    """Load and start a job of these rows."""
    loading = await desk.jobs.create(job, "contoso", Lane.BULK, options=Options())
    assert loading is not None
    for row in rows:
        loading.put(dict(row))
    await desk.jobs.start(loading)


async def place_of(desk: Desk, rows: Sequence[dict[str, Any]]) -> IndexPlace:
    """Where the rows' guests stand in their tenant's index."""
    index = GuestIndex(desk.client, desk.keys, desk.ledger.sealer)
    return await index.place("global/tenant", {i: row["email"] for i, row in enumerate(rows)})


async def send(desk: Desk, rows: Sequence[dict[str, Any]], indexes: Sequence[int], named: str = "") -> None:
    """Invite some rows of the next chunk; row 3 fails, keeps all that was asked for, and is told a
    sentence that names her.
    """
    lease, place = await desk.lease(), await place_of(desk, rows)
    t = lease.ticket
    grant = await desk.ledger.begin_batch(
        lease, indexes, desk.buckets, tenant_key="t", client_key="c", index=place, resent=indexes
    )
    outcomes = [
        Outcome(row.index, RowState.FAILED, code="bad", message=f"{named or SPELLED} is odd.")
        if row.index == 3
        else Outcome(row.index, RowState.DONE, user_id=f"u{row.index}", redeem_url=f"{LINK}{row.index}")
        for row in grant.rows
    ]
    await desk.ledger.record_batch(t.job, t.chunk, t.connection, t.lane, grant.batch, outcomes, place)
    await desk.ledger.release(lease)


async def everything(desk: Desk) -> str:
    """All that Redis holds under the prefix, unpacked and unsealed as far as the ledger can."""
    found: list[str] = []
    for raw in [raw async for raw in desk.ledger.client.scan_iter(match=f"{desk.keys.prefix}:*")]:
        if await desk.ledger.client.type(raw) != b"hash":
            continue
        for name, value in (await desk.ledger.client.hgetall(raw)).items():
            if b":chunk:" not in raw:
                pass
            elif name == b"rows":
                value = repr(packing.unpack_rows(value)).encode()
            elif name == b"out":
                value = repr(packing.unpack_finished(value)).encode()
            elif name[:1] == b"o" and name[1:].isdigit():
                value = repr(packing.unpack_outcomes(value)).encode()
            found.append(f"{raw!r} {name!r} {value!r}")
    return "\n".join(found).lower()


async def results(desk: Desk, job: str) -> list[dict[str, Any]]:
    """A job's results."""
    return [record async for record in desk.jobs.rows.results(job)]


async def forget_ann(desk: Desk, ledger: Ledger | None = None) -> tuple[int, int, int]:
    """Forget her, her address spelled otherwise. Returns rows, jobs, entries."""
    ledger = ledger or desk.ledger
    done = await forget(ledger, GuestIndex(desk.client, desk.keys, ledger.sealer), SPELLED)
    return done.rows, done.jobs, done.entries


@pytest.mark.parametrize("named", [ANN, SPELLED, unicodedata.normalize("NFD", ANN)], ids=["letters", "idna", "nfd"])
@pytest.mark.parametrize("folded", [True, False])
async def test_one_person_is_gone_and_the_rest_is_as_it_was(desk: Desk, folded: bool, named: str) -> None:
    """Address, name, ref, link, message and mentions go; outcome and ids stay; others keep all of
    theirs.
    """
    rows = rows_with_ann()
    await load(desk, "first", rows)
    await send(desk, rows, range(5), named)
    if folded:
        assert await desk.ledger.fold("first", 0)
    before = await results(desk, "first")
    assert before[2]["redeem_url"] == f"{LINK}2"
    assert await forget_ann(desk) == (2, 1, 1)
    after = await results(desk, "first")
    assert after[2] == before[2] | {"email": "", "display_name": "", "ref": "", "redeem_url": ""}
    assert (after[2]["status"], after[2]["user_id"]) == ("invited", "u2")
    assert after[3] == before[3] | {"error_message": ""}
    assert [after[i] for i in (0, 1, 4)] == [before[i] for i in (0, 1, 4)]
    assert after[0]["redeem_url"] == f"{LINK}0"
    told = await everything(desk)
    for word in ("ann.private", "ann private", "ann-ref"):
        assert word not in told
    assert await forget_ann(desk) == (0, 0, 0), "the second time there is nothing"


async def test_a_cancelled_jobs_unsent_rows_go_too(desk: Desk) -> None:
    """Its chunk is never folded; the rows that were sent keep their links."""
    rows = rows_with_ann()
    await load(desk, "half", rows)
    await send(desk, rows, [0, 3])
    await desk.jobs.cancel("half")
    assert await forget_ann(desk) == (2, 1, 0)
    after = await results(desk, "half")
    assert [record["status"] for record in after] == ["invited", "cancelled", "cancelled", "failed", "cancelled"]
    assert (after[2]["email"], after[0]["redeem_url"]) == ("", f"{LINK}0")
    assert "ann.private" not in await everything(desk)


async def test_a_job_that_has_not_ended_stands_in_the_way(desk: Desk) -> None:
    """Nothing is changed anywhere, and the sentence names the job."""
    rows = rows_with_ann()
    await load(desk, "ended", rows)
    await send(desk, rows, range(5))
    await load(desk, "going", rows)
    before = await results(desk, "ended")
    with pytest.raises(LedgerBusy, match="Job going has this address"):
        await forget_ann(desk)
    assert await results(desk, "ended") == before


async def test_without_the_key_of_the_links_nothing_is_done(desk: Desk) -> None:
    """Otherwise everybody's links would go, or hers stay."""
    rows = rows_with_ann()
    await load(desk, "first", rows)
    await send(desk, rows, range(5))
    before = await results(desk, "first")
    another = Sealer(["another key, long enough"])
    ways: list[tuple[FindSealer, type[Exception]]] = [(no_sealer, LedgerError), (lambda: another, SealBroken)]
    for find, error in ways:
        with pytest.raises(error):
            await forget_ann(desk, Ledger(desk.client, desk.keys, sealer=find))
    assert await results(desk, "first") == before


async def test_a_fold_that_was_read_before_brings_nobody_back(desk: Desk) -> None:
    """A worker that read the chunk, slept, and folds now, changes nothing."""
    rows = rows_with_ann()
    await load(desk, "first", rows)
    await send(desk, rows, range(5))
    key = desk.keys.chunk("first", 0)
    fields = await desk.ledger.client.hgetall(key)
    late = packing.pack_finished(rows, [])
    await forget_ann(desk)
    fold = desk.ledger._scripts["fold_chunk"]
    assert not await fold(keys=[key], args=[fields[b"no"], late, b""])
    assert "ann.private" not in await everything(desk)


async def test_that_usher_disabled_somebody_is_forgotten(desk: Desk) -> None:
    """In every tenant, by the ids that the rows have; nobody else is."""
    rows = rows_with_ann()
    await load(desk, "first", rows)
    await send(desk, rows, range(5))
    memory = Disabled(desk.client, desk.keys)
    await memory.note("one", "a", ["u2", "u3"])
    await memory.note("two", "a", ["u2"])
    done = await forget(desk.ledger, GuestIndex(desk.client, desk.keys, desk.ledger.sealer), SPELLED)
    assert done.disabled == 2
    assert set(await memory.read("one", ["u2", "u3"])) == {"u3"}
    assert await memory.read("two", ["u2"]) == {}
