"""What a producer's day has no room for costs nobody else anything: it is refused before it is
loaded.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
import redis

from tasks.producers import LOOKS
from tests.integration.producers.rivals import LIMIT, Rivals
from tests.integration.producers.wire import address, refusal

pytestmark = pytest.mark.usefixtures("one_day")


@contextlib.contextmanager
def _heard(two: Rivals) -> Iterator[list[str]]:
    """Yield what the server is asked for meanwhile, once it is over."""
    found: list[str] = []
    url = two.usher.redis_url.replace("usher-worker:worker", "admin:admin")
    with redis.Redis.from_url(url) as admin, admin.monitor() as monitor:
        yield found
        admin.echo("that is all")
        for command in monitor.listen():
            if "that is all" in command["command"]:
                return
            found.append(command["command"])


def _chunks(two: Rivals) -> set[str]:
    return {key.decode() for key in two.root.scan_iter("usher:chunk:*")}


def _loaded(commands: list[str], before: set[str]) -> set[str]:
    """Return the chunks that they are about, without those of earlier jobs, which may still run."""
    return {chunk for command in commands for chunk in re.findall(r"usher:chunk:\w+:\d+", command)} - before


@pytest.mark.parametrize("way", ["message", "rows", "file", "several"])
def test_what_is_too_much_is_not_loaded(two: Rivals, way: str) -> None:
    """No row of it comes into the ledger, through however many connections it would go."""
    two.root.delete(*two.root.scan_iter("usher:producer:crm:*"), "usher:none")
    rows = [{"email": address()} for _ in range(LIMIT // 2 + 1 if way == "several" else LIMIT + 1)]
    before = _chunks(two)
    with _heard(two) as commands:
        if way == "message":
            said = refusal(two.crm.ask("usher.invite_guests", "contoso", rows))
        else:
            order = {"connection": "all" if way == "several" else "contoso", "rows": rows}
            csv = "\n".join(["email", *(row["email"] for row in rows)])
            given = {"data": csv, "headers": {"Content-Type": "text/csv"}} if way == "file" else {"json": order}
            answer = two.crm.http("POST", f"/v1/jobs{'?connection=contoso' if way == 'file' else ''}", **given)
            assert answer.status_code == 429, answer.text
            said = answer.json()["detail"]
    assert said.startswith(f"rows: the producer crm may submit {LIMIT} rows a day and has {LIMIT} left")
    assert commands
    assert not _loaded(commands, before)


@pytest.mark.parametrize("way", ["one", "several"])
def test_dry_runs_have_a_day_of_their_own(two: Rivals, way: str) -> None:
    """They tell who is in a tenant: so many rows and no more, each look in the audit trail, and
    nobody is asked for what is beyond.
    """
    two.root.delete(*two.root.scan_iter("usher:producer*:crm:*"), "usher:none")
    connection, times = ("all", 2) if way == "several" else ("contoso", 1)
    before = len(two.trail("producer.looked"))

    def look(rows: int) -> tuple[int, str]:
        order = {"connection": connection, "rows": [{"email": address()} for _ in range(rows)]}
        answer = two.crm.http("POST", "/v1/dry-runs", json=order)
        return answer.status_code, str(answer.json().get("detail"))

    most = LOOKS * LIMIT // times
    assert look(most - 1)[0] == 200
    chunks = _chunks(two)
    with _heard(two) as commands:
        status, said = look(2)
    assert status == 429
    assert said.startswith(f"rows: the producer crm may look at {LOOKS * LIMIT} rows a day by dry runs and has {times}")
    assert way == "one" or not _loaded(commands, chunks)
    assert [event["rows"] for event in two.trail("producer.looked")[before:]] == [(most - 1) * times]
    two.root.delete(*two.root.scan_iter("usher:producer-looks:crm:*"))
