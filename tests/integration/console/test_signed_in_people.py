"""People who signed in do what their roles say, on the whole console: its API and its pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from config.reader import parse_schedule
from console.app import build_app
from tests.integration.console.conftest import SignInSite
from tests.integration.console.entra_browsers import EntraBrowser
from tests.integration.console.servers import serving
from tests.sandboxes import connection_table
from worker.ledger.timetable import ScheduledRun, Timetable, plan

ROWS = {"connection": "contoso", "rows": [{"email": "ann@fabrikam.example"}]}


@pytest.fixture
async def whole(signing: SignInSite) -> AsyncIterator[SignInSite]:
    """The whole console, with a connection whose jobs wait for approval."""
    with signing.config.open("a") as file:
        file.write("\n" + connection_table("contoso", signing.sandbox.ready, require_approval="true"))
    app = build_app(lambda: nullcontext(signing.services))
    async with app.router.lifespan_context(app), serving(app, tls=signing.tls) as url:
        text = signing.config.read_text()
        signing.config.write_text(text.replace(signing.url, url))
        signing.url = url
        yield signing
        await signing.close_browsers()


async def _call(browser: EntraBrowser, path: str, **more: Any) -> tuple[int, Any]:
    """Ask the API as a page of ours does."""
    page = await browser.site.get("/jobs", headers={"Accept": "text/html"})
    token = page.text.partition('"X-CSRF-Token": "')[2].partition('"')[0]
    answer = await browser.site.post(path, headers={**browser.origin, "X-CSRF-Token": token}, **more)
    return answer.status_code, answer.json()


async def test_somebody_else_approves_and_both_are_named(whole: SignInSite) -> None:
    """Told apart by Entra's ids; the trail has both."""
    people = {}
    for name in ("ada@contoso", "grace@contoso", "linus@partner", "margaret@partner"):
        people[name] = whole.browser()
        assert (await people[name].sign_in(name)).status_code == 303
    assert (await _call(people["margaret@partner"], "/v1/jobs", json=ROWS))[0] == 403
    status, told = await _call(people["ada@contoso"], "/v1/jobs", json=ROWS)
    assert status == 202, told
    approve = f"/v1/jobs/{told['job']}/approve"
    assert (await _call(people["linus@partner"], approve))[0] == 403
    status, refused = await _call(people["ada@contoso"], approve)
    assert status == 409
    assert "was submitted by Ada Lovelace:" in refused["detail"]
    assert (await _call(people["grace@contoso"], approve))[0] == 200
    events = {event.what: event async for event in whole.services.trail.events() if event.what.startswith("job.")}
    tenant = whole.sandbox.ready["tenant_id"]
    for what, name in (("job.submitted", "Ada Lovelace"), ("job.approved", "Grace Hopper")):
        assert events[what].by.startswith(f"{name} (")
        assert events[what].by.endswith(f"@{tenant})")


async def test_every_page_asks_who_it_is(whole: SignInSite) -> None:
    """None answers a stranger, and none a program."""
    token = whole.mint(claims={"roles": ["operate"]})
    for path in ("/", "/invite", "/jobs", "/guests", "/connections", "/schedules", "/audit"):
        answer = await whole.browser().site.get(path)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/signin"), path
        answer = await whole.browser().site.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403, path


async def test_a_schedule_over_several_connections_is_told_as_a_whole(whole: SignInSite) -> None:
    """How many connections, how the last run of each stands, and the runs with their
    connections.
    """
    timetable = Timetable(whole.services.client, whole.services.keys)
    table = {"task": "check_connections", "connection": "contoso,sandbox", "cron": "0 2 * * *", "spread": "2h"}
    now = datetime.now(UTC)
    await timetable.put(plan(parse_schedule("many", table, ["contoso"]), None, "added", "UTC", now))
    now_ms = round(now.timestamp() * 1000)
    for name, status in (("contoso", "ok"), ("sandbox", "failed")):
        run = ScheduledRun(now_ms, "beat", now_ms, now_ms + 1, status, f"What {name} said.", connection=name)
        await timetable.record("many", run)
    browser = whole.browser()
    assert (await browser.sign_in("ada@contoso")).status_code == 303
    text = (await browser.site.get("/schedules", headers={"Accept": "text/html"})).text
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text.partition('id="many"')[2]))
    assert "many failed" in page
    assert "0 2 * * *, spread over 2h" in page
    assert "Connections 2 · well 1 · failed 1" in page
    assert all(re.search(rf"{name} (well|failed) What {name} said", page) for name in ("contoso", "sandbox"))
