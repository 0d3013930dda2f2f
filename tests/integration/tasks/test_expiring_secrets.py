"""The schedule `expiring_secrets` and `usher secrets list`: what ends soon is found among all
applications of the tenant, and told of once, to whom the connection notifies.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.reader import load_settings
from tasks.scheduled.firing import fire
from tests.beats import Beats, schedule_table
from tests.servers import answer, make_certificate, run_raw_server
from tests.sites import Site
from worker.ledger.timetable import ScheduledRun
from worker.sending.credential_ends import note_certificates, note_end, read_ends
from worker.services import open_services
from worker.store.client import read_time_ms

ROLES = ("User.Invite.All", "User.Read.All", "Application.Read.All")
pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=ROLES)
DAY = 86_400
CONFIRMED = '{ within = "25d", confirm = true }'


def register(site: Site) -> None:
    """Let the tenant have applications besides usher's own."""
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    for name, secrets, certificates in (
        ("Portal", [("old", -40), ("new", 20.5)], []),
        ("HR", [], [(None, 3.5)]),
        ("Later", [("far", 300)], []),
    ):
        told: dict[str, Any] = {"action": "add", "name": name}
        for kind, of_it in (("secrets", secrets), ("certificates", certificates)):
            told[kind] = [{"name": what or "", "in_s": days * DAY} for what, days in of_it]
        site.sandbox.ask("applications", told)


async def run_once(site: Site, beats: Beats, args: str) -> ScheduledRun:
    """Do one run of the schedule with these arguments."""
    table = schedule_table("ends", "expiring_secrets", every="9d", connection='"contoso"', args=args)
    beats.write(table)
    settings = load_settings(site.env)
    async with open_services(lambda: settings, site.url) as services:
        run = await fire(services, "ends", await read_time_ms(services.client), "beat")
    assert run is not None
    return run


def test_what_ends_is_listed(site: Site) -> None:
    """The first to end first, as a table, CSV or JSON lines; the metrics know of it. Without the
    permission one sentence names it.
    """
    register(site)
    status, out, err = site.run("secrets", "list", "-c", "contoso", "--within", "25d")
    assert (status, err.startswith("2 of ")) == (0, True), err  # the sandbox is shared: its own has more or fewer
    assert out.index("HR") < out.index("Portal")
    assert "Later" not in out
    status, out, _ = site.run("secrets", "list", "-c", "contoso", "--format", "csv")
    rows = [row for row in csv.DictReader(io.StringIO(out)) if row["application"] != "usher"]
    assert [(row["application"], row["kind"], row["name"], row["days_left"]) for row in rows] == [
        ("Portal", "secret", "old", "-41"),
        ("HR", "certificate", "", "3"),
        ("Portal", "secret", "new", "20"),
        ("Later", "secret", "far", "299"),
    ]
    path = site.folder / "ends.jsonl"
    assert site.run("secrets", "list", "-c", "contoso", "--within", "10d", "-o", str(path)).status == 0
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["application"] == "HR"
    assert path.stat().st_mode & 0o777 == 0o600
    site.sandbox.ask("policy", {"roles": list(ROLES[:2])})
    site.sandbox.ask("tokens", {"action": "revoke"})
    status, _, err = site.run("secrets", "list", "-c", "contoso")
    assert status == 2
    assert "Application.Read.All" in err


async def test_somebody_is_told_once_before_a_secret_ends(site: Site, beats: Beats, tmp_path: Path) -> None:
    """Without confirm the run's record alone tells; with it the webhook gets each once, and once
    more in its last days.
    """
    register(site)
    run = await run_once(site, beats, '{ within = "25d" }')
    assert run.status == "attention"
    assert "the certificate of HR in 3 days, the secret of Portal in 20 days" in run.what
    assert "confirm = true" in run.what
    run = await run_once(site, beats, CONFIRMED)
    assert "has no notify" in run.what
    certificate = make_certificate(tmp_path, "localhost", "127.0.0.1")

    async def behave(_: Any, writer: asyncio.StreamWriter) -> None:
        answer(writer, 200)

    async with run_raw_server(certificate, behave) as hook:
        (site.folder / "hook").write_text("a secret of the receiver")
        config = site.folder / "usher.toml"
        tables = f'[notify]\nsecret = "file:hook"\n\n[connections.contoso]\nnotify = "{hook.url}/x"'
        config.write_text(config.read_text().replace("[connections.contoso]", tables))
        assert "2 told of now" in (await run_once(site, beats, CONFIRMED)).what
        site.start_worker(more_env={"SSL_CERT_FILE": str(certificate.certificate)})

        async def heard(count: int) -> bool:
            return len(hook.received) == count

        await site.until("an event", lambda: heard(1))
        event = hook.received[0].json
        assert (event["type"], event["connection"]) == ("secrets.expiring", "contoso")
        assert [one["application"] for one in event["secrets"]] == ["HR", "Portal"]
        assert "They were told of before" in (await run_once(site, beats, CONFIRMED)).what
        sooner = {"action": "add", "name": "Portal", "secrets": [{"name": "new", "in_s": 5 * DAY}]}
        site.sandbox.ask("applications", sooner)
        assert "1 told of now" in (await run_once(site, beats, CONFIRMED)).what
        await site.until("another event", lambda: heard(2))
        assert [one["application"] for one in hook.received[1].json["secrets"]] == ["Portal"]
    assert "a secret of the receiver" not in json.dumps(event)


async def test_who_of_our_own_connections_keeps_a_secret(site: Site) -> None:
    """With the end that was noted of it; a connection that keeps none any more has no end left,
    which would alarm for ever.
    """
    config = site.folder / "usher.toml"
    settings = load_settings(site.env)
    async with open_services(lambda: settings, site.url) as services:
        ends_at = datetime.fromtimestamp(await read_time_ms(services.client) // 1000, UTC) + timedelta(days=12.5)
        await note_end(services.client, services.keys, "contoso", ends_at)
        status, out, err = site.run("secrets", "list", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [(row["stands_under"], row["credential"], row["days_left"]) for row in rows] == [
            ("connections.contoso", "secret", "12")
        ]
        assert (status, "1 of 1 still keeps a secret: connections.contoso" in err) == (0, True), err
        assert "connections.contoso" not in site.run("secrets", "list", "--within", "10d")[1]

        lines = config.read_text().splitlines()
        both = make_certificate(site.folder, "usher", days=40).both
        pem = f'certificate = "file:{both}"'
        config.write_text("\n".join(pem if line.startswith("client_secret") else line for line in lines))
        assert site.run("connections", "check", "contoso").status == 1  # nobody has uploaded it
        (row,) = csv.DictReader(io.StringIO(site.run("secrets", "list", "--format", "csv").out))
        assert (row["credential"], row["days_left"]) == ("certificate", "39"), row
        file = 'client_assertion = "file:token"'
        config.write_text("\n".join(file if line.startswith("client_secret") else line for line in lines))
        settings = load_settings(site.env)
        await note_certificates(services)
        status, out, err = site.run("secrets", "list")
        assert (status, "token file" in out, "None of usher's own" in err) == (0, True, True), (out, err)
        assert await read_ends(services.client, services.keys, ["contoso"]) == {}
