"""`usher metrics` over real workers: its sums are the ledger's own counts, whoever is killed, and
nobody unknown reads them.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.reader import load_settings, parse_schedule
from tests.needs import need
from tests.processes import ROOT, plain_environment
from tests.scrapes import Series, fetch, pick, run_metrics
from tests.sites import OwnValkey, Site, kill
from worker.ledger.gates import HoldReason
from worker.ledger.guests.last_seen import GuestCounts, LastSeen
from worker.ledger.model import Lane, Outcome, RowState
from worker.ledger.timetable import Planned, Timetable
from worker.metrics.exposition import outcomes_of
from worker.metrics.snapshot import Observer
from worker.sending.credential_ends import note_end

OUTCOMES = outcomes_of("contoso")


async def assert_sums(site: Site, series: Series) -> None:
    """What is shown for all time is what the ledger's jobs come to, one by one."""
    views = await site.desk.jobs.listed(newest=100)
    told: Counter[str] = Counter()
    for view in views:
        for word in OUTCOMES.values():
            told[word] += view.counts.told(view.operation)[word]
    shown = {word: pick(series, "usher_rows_total", connection="contoso", outcome=word) for word in OUTCOMES.values()}
    assert shown == {word: float(told[word]) for word in OUTCOMES.values()}
    assert pick(series, "usher_rows_accepted_total") == sum(view.counts.rows for view in views)
    assert pick(series, "usher_backlog_rows") == sum(view.counts.pending for view in views)


async def test_sums_equal_the_ledger_after_kills_and_restarts(site: Site) -> None:
    """1,000 rows with faults, a worker killed with rows on the wire, one stopped warm: to the row
    what the ledger counts.
    """
    site.sandbox.ask("faults", {"spec": "lost@batch=1/12,504@item@invite=1/90,error@item@invite=1/50"})
    site.sandbox.ask("latency", {"latency": "0.4"})
    bad = await site.desk.load(30, job="bad", ended=range(1, 31, 3))
    job = await site.desk.load(1000, job="m")
    cancelled = await site.desk.load(300, job="c")
    with run_metrics(site.folder, "--listen", "127.0.0.1:0", USHER_CONFIG=str(site.folder / "usher.toml")) as metrics:
        first = site.start_worker(8)
        await site.some(job, 200)
        await site.rows_on_the_wire(job)
        kill(first)  # what it had not pushed yet is lost
        before = await site.desk.jobs.view(job)
        assert before
        await site.desk.jobs.cancel(cancelled)
        second = site.start_worker(8)
        seen = await site.some(job, 400)
        middle = metrics.scrape()
        assert pick(middle, "usher_rows_total") >= seen.counts.finished
        assert pick(middle, "usher_workers") >= 1
        assert 0 < pick(middle, "usher_quota_tokens", bucket="writes") < 3000
        site.sandbox.ask("latency", {"latency": "0.1"})
        second.terminate()
        await asyncio.to_thread(second.wait, 60)
        site.start_worker(8)
        for name in (bad, job, cancelled):
            await site.ended(name, 60)
        await assert_sums(site, metrics.scrape())

        async def pushed() -> bool:
            now = metrics.scrape()
            return (
                pick(now, "usher_batch_rows_sum") >= before.counts.pending - before.open
                and pick(now, "usher_leases_lost_total") >= 1
            )

        await site.until("what workers push", pushed)
        series = metrics.scrape()
    await assert_sums(site, series)
    assert pick(series, "usher_rows_total", outcome="cancelled") > 0
    assert pick(series, "usher_rows_total", outcome="failed") >= 10
    doubts = pick(series, "usher_doubts_resolved_total")
    assert doubts > 0
    assert pick(series, "usher_rows_in_doubt") == 0
    assert pick(series, "usher_graph_requests_total", operation="invite", status="201") > 500
    assert pick(series, "usher_graph_calls_total", status="lost") > 0
    assert pick(series, "usher_batch_seconds_count") == pick(series, "usher_batch_seconds_bucket", le="+Inf")
    assert pick(series, "usher_token_requests_total", result="ok") >= 1


async def test_gates_throttling_and_what_is_due_are_shown(site: Site) -> None:
    """A 429 closes the gate for so many seconds; rows are due only while it is open; a hold says
    what for.
    """
    site.sandbox.ask("faults", {"faults": [{"fault": "429", "on": ["item", "invite"], "times": 1, "retry_after": "1"}]})
    with run_metrics(site.folder, "--listen", "127.0.0.1:0", USHER_CONFIG=str(site.folder / "usher.toml")) as metrics:
        job = await site.desk.load(3)
        before = metrics.scrape()
        assert pick(before, "usher_rows_due", connection="contoso") == 3
        assert pick(before, "usher_gate_open", connection="contoso") == 1
        await site.desk.gates.hold("contoso", HoldReason.OPERATOR, "Held by a test.")
        held = metrics.scrape()
        assert pick(held, "usher_rows_due") == 0
        assert pick(held, "usher_backlog_rows", state="running") == 3
        assert pick(held, "usher_gate_held", connection="contoso", kind="operator") == 1
        assert pick(held, "usher_gate_open", connection="contoso") == 0
        await site.desk.gates.reopen("contoso")
        await site.desk.gates.hold_everything("Held by a test.")
        assert pick(metrics.scrape(), "usher_gate_held", connection="contoso", kind="operator") == 1
        client: Any = site.desk.client
        await client.hset(site.desk.keys.hold_all(), "kind", "restored")
        assert pick(metrics.scrape(), "usher_gate_held", connection="contoso", kind="restored") == 1
        await site.desk.gates.reopen_everything()
        site.start_worker()
        await site.ended(job)
        after = metrics.scrape()
        assert pick(after, "usher_throttled_total", connection="contoso") == 1
        assert pick(after, "usher_gate_closed_seconds_total", connection="contoso") >= 1
        assert pick(after, "usher_quota_limit_tokens", bucket="writes") == 3000


async def test_a_late_look_up_changes_no_row_of_a_job_that_was_cancelled(site: Site) -> None:
    """Its rows counted as cancelled when it ended; found in the directory afterwards, they still
    do.
    """
    desk = site.desk
    job = await desk.load(1)
    lease = await desk.lease()
    await desk.jobs.cancel(job)
    late = [Outcome(0, RowState.ALREADY)]
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, late)
    view = await site.view(job)
    assert (view.counts.cancelled, view.counts.already) == (1, 0)
    assert lease.letters == "."


async def test_a_schedule_that_is_overdue_is_late_unless_it_is_switched_off(site: Site) -> None:
    """By the timetable as beat keeps it; and no beat is shown where none is at work."""
    now = datetime.now(UTC)
    timetable = Timetable(site.desk.client, site.desk.keys)
    for name, off in (("often", False), ("off", True)):
        schedule = parse_schedule(name, {"task": "check_connections", "every": "1m"}, [])
        await timetable.put(Planned(schedule, "added", "UTC", now - timedelta(minutes=10), off))
    settings = load_settings({}, site.folder / "usher.toml")
    look = await Observer(site.desk.client, site.desk.keys, lambda: settings).look()
    assert set(look.schedule_lags_s) == {"often"}
    assert look.schedule_lags_s["often"] >= 540
    assert look.beats == 0


async def test_the_end_of_a_certificate_is_known_without_a_secret(site: Site) -> None:
    """A worker notes it; the metrics process never sees the certificate."""
    ends_at = datetime(2031, 5, 1, tzinfo=UTC)
    await note_end(site.desk.client, site.desk.keys, "contoso", ends_at)
    settings = load_settings({}, site.folder / "usher.toml")
    look = await Observer(site.desk.client, site.desk.keys, lambda: settings).look()
    assert look.connections["contoso"].credential_ends_s == ends_at.timestamp()


async def test_what_was_last_seen_of_a_tenant_is_shown_and_nobody_is_asked(site: Site) -> None:
    """The last note of each kind counts; of a tenant that nobody has looked at there is nothing."""
    seen, ends_at = LastSeen(site.desk.client, site.desk.keys), datetime(2031, 5, 1, tzinfo=UTC)
    settings = load_settings({}, site.folder / "usher.toml")
    observer = Observer(site.desk.client, site.desk.keys, lambda: settings)
    assert (await observer.look()).seen == {}
    await seen.note_guests("contoso", GuestCounts(10, 6, 3, 1, 2))
    await seen.note_secrets("contoso", ends_at)
    await seen.note_due("contoso", {"remind": 3, "disable": 4})
    await seen.note_due("contoso", {"remind": 5})
    told = (await observer.look()).seen["contoso"]
    assert (told.guests, told.secret_ends_s, told.due) == (
        GuestCounts(10, 6, 3, 1, 2),
        ends_at.timestamp(),
        {"remind": 5},
    )
    assert 0 < told.guests_at_s <= told.due_at_s
    await seen.note_secrets("contoso", None)
    assert (await observer.look()).seen["contoso"].secret_ends_s is None
    assert site.sandbox.ask("requests") == []


def test_a_ledger_that_is_away_is_a_metric(own_valkey: OwnValkey) -> None:
    """The page goes on answering, says that the ledger cannot be read, and shows it again once it
    is back.
    """
    listen = ("--listen", "127.0.0.1:0")
    with run_metrics(own_valkey.folder, *listen, USHER_REDIS_URL=own_valkey.url) as metrics:
        assert pick(metrics.scrape(), "usher_ledger_up") == 1
        own_valkey.kill()
        away = metrics.scrape()
        assert pick(away, "usher_ledger_up") == 0
        assert {name for name, _ in away} == {"usher_ledger_up", "usher_build_info"}
        own_valkey.start_again()
        assert pick(metrics.scrape(), "usher_ledger_up") == 1


def test_beyond_loopback_only_with_a_login_or_a_token(valkey_url: str, tmp_path: Path) -> None:
    """No page is open: neither the metrics nor any other address answers without the secret; a new
    secret counts at once.
    """
    refused = _metrics_cli(tmp_path, "--listen", "0.0.0.0:0", USHER_REDIS_URL=valkey_url)
    assert refused.returncode == 2
    assert "can be reached from other machines" in refused.stderr
    assert "Traceback" not in refused.stderr
    login, token = tmp_path / "login", tmp_path / "token"
    login.write_text("prometheus:s3cret\n")
    token.write_text("t0ken\n")
    secrets = {"USHER_METRICS__LOGIN": f"file:{login}", "USHER_METRICS__TOKEN": f"file:{token}"}
    with run_metrics(tmp_path, "--listen", "0.0.0.0:0", USHER_REDIS_URL=valkey_url, **secrets) as metrics:
        for url in (metrics.url, metrics.url.removesuffix("metrics"), metrics.url.replace("metrics", "healthcheck")):
            assert fetch(url)[0] == 401
            assert fetch(url, login="prometheus:wrong")[0] == 401
            assert fetch(url, token="wrong")[0] == 401
        assert fetch(metrics.url, login="prometheus:s3cret")[0] == 200
        assert fetch(metrics.url, token="t0ken")[0] == 200
        token.write_text("another\n")
        assert fetch(metrics.url, token="t0ken")[0] == 401
        assert fetch(metrics.url, token="another")[0] == 200


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"USHER_METRICS__LOGIN": "file:/nowhere/at-all"}, "/nowhere/at-all"),
        ({"USHER_METRICS__LOGIN": "env:NO_COLON", "NO_COLON": "justaname"}, "NAME:PASSWORD"),
        ({"USHER_METRICS__LISTEN": "9464"}, "HOST:PORT"),
        ({"USHER_METRICS__TOKEN": "literal"}, "env:"),
    ],
)
def test_what_is_wrong_with_its_configuration_is_a_sentence(
    valkey_url: str, tmp_path: Path, env: dict[str, str], says: str
) -> None:
    """Status 2 and a sentence that names what to correct; no traceback, no secret."""
    done = _metrics_cli(tmp_path, USHER_REDIS_URL=valkey_url, **env)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "justaname" not in done.stderr


def _metrics_cli(folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from cli import main; main()", "metrics", *options],
        cwd=folder,
        env=plain_environment(HOME=str(folder), **env) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_prometheus_itself_finds_nothing_to_say_about_the_page(site: Site) -> None:
    """Names, units, types and help as its own linter wants them."""
    promtool = need("prometheus")
    await site.desk.load(1)
    with run_metrics(site.folder, "--listen", "127.0.0.1:0", USHER_CONFIG=str(site.folder / "usher.toml")) as metrics:
        page = fetch(metrics.url)[1]
    argv = [promtool, "check", "metrics"]
    done = await asyncio.to_thread(subprocess.run, argv, input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
