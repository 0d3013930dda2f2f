"""What comes in pieces: events, guests, long results."""

from __future__ import annotations

import json

from tests.consoles import Console, run_console
from tests.sites import Site


async def test_progress_is_told_until_the_end(site: Site, console: Console) -> None:
    """The first event is there at once, the last says how the job ended, and the stream is over."""
    job = console.submit([f"g{n}@fabrikam.example" for n in range(30)])
    told = console.events(f"/v1/jobs/{job}/events")
    first = next(told)
    assert (first["job"], first["state"], first["invited"]) == (job, "running", 0)
    site.start_worker()
    *_, last = told
    assert (last["state"], last["invited"]) == ("done", 30)
    again = console.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "known"})
    assert again.status_code == 204


async def test_server_that_ends_closes_its_streams(site: Site) -> None:
    """Nobody waits for the end of a stream that has none: SIGTERM ends it, and the server."""
    with run_console(site, real=True) as console:
        job = console.submit(["ada@fabrikam.example"])
        told = console.events(f"/v1/jobs/{job}/events")
        next(told)
        console.process.terminate()
        list(told)
        assert console.process.wait(60) == 0


async def test_guests_are_streamed(site: Site, console: Console) -> None:
    """All guests of a tenant, in the three forms, or those that are meant."""
    site.sandbox.ask("populate", {"count": 100})
    found = console.get("/v1/guests?connection=contoso").json()["guests"]
    assert len({one["id"] for one in found}) > 50
    lines = console.get("/v1/guests?connection=contoso&format=jsonl&limit=2").text.splitlines()
    assert len([json.loads(line) for line in lines]) == 2
    table = console.get("/v1/guests?connection=contoso&format=csv&domain=nowhere.example").text
    assert table.splitlines() == ["id,email,display_name,state,state_since,created,enabled"]
    assert console.get("/v1/guests?connection=contoso&invited_before=soon").status_code == 422
    assert console.get("/v1/guests?connection=nowhere").status_code == 422


async def test_connections_are_told_held_and_reopened(site: Site, console: Console) -> None:
    """The gate in words, a check, a hold with its reason, and its end."""
    shown = {one["connection"]: one for one in console.get("/v1/connections").json()["connections"]}
    assert (shown["contoso"]["gate"], shown["contoso"]["held"]) == ("open", False)
    checked = console.post("/v1/connections/contoso/check").json()
    assert checked["findings"]
    held = console.post("/v1/connections/contoso/hold", json={"reason": "a fair"}).json()
    assert held["held"]
    assert "a fair" in held["why"]
    assert console.post("/v1/connections/contoso/reopen").json()["held"] is False
    assert console.post("/v1/connections/contoso/hold", json={"reason": " "}).status_code == 422
    assert console.post("/v1/connections/contoso/hold").json()["held"] is True
    assert console.post("/v1/connections/contoso/reopen").json()["held"] is False
    assert console.post("/v1/connections/contoso/hold", json={}).json()["held"] is True
    assert console.post("/v1/connections/nowhere/reopen").status_code == 404


async def test_dry_run_tells_and_leaves_nothing(site: Site, console: Console) -> None:
    """What would become of each row, as the command tells it; no job is left and nobody mailed."""
    body = {"connection": "contoso", "rows": [{"email": "ada@fabrikam.example"}, {"email": "no"}]}
    told = console.post("/v1/dry-runs", json=body)
    assert told.status_code == 200, told.text
    found = told.json()
    assert [row["would"] for row in found["foreseen"]] == ["invite", "refuse"]
    assert (found["plan"]["to_send"], found["errors"][0]["row"]) == (1, 2)
    assert console.get("/v1/jobs").json()["jobs"] == []
    assert site.sandbox.ask("stats")["mails"]["total"] == 0
