"""Two producers with tokens of their own, who try everything against each other."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.integration.producers.wire import address, dump, refusal
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher

HR, CRM = "hr-token-" + "h" * 40, "crm-token-" + "c" * 40


def _tables(ready: dict[str, Any]) -> str:
    folder = Path(ready["ca_file"]).parent.parent
    for name, token in {"hr": HR, "crm": CRM}.items():
        (folder / name).write_text(token)
    return "\n".join(
        [
            connection_table("contoso", ready),
            connection_table("fabrikam", ready),
            '[notify]\nsecret = "file:notify"\nhosts = ["hooks.example", "crm.example"]',
            '[producers.hr]\ntoken = "file:hr"\nconnections = ["contoso"]\nnotify_hosts = ["hooks.example"]',
            '[producers.crm]\ntoken = "file:crm"\nconnections = ["contoso", "fabrikam"]\ndaily_limit = 3',
        ]
    )


@pytest.fixture(scope="module")
def two() -> Iterator[Usher]:
    """A worker that knows the producers hr and crm."""
    folder = Path(tempfile.mkdtemp(prefix="two", dir="/tmp"))
    try:
        with run_usher(folder, sandbox_options=("--quota", "off", "--replication", "0"), tables=_tables) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ask(two: Usher, token: Any, task: str, *args: Any, task_id: str = "", **kwargs: Any) -> dict[str, Any]:
    options: dict[str, Any] = {} if token is None else {"headers": {"usher_token": token}}
    return two.ask_with(task, args, kwargs, **options, **({"task_id": task_id} if task_id else {}))


def _trail(two: Usher, what: str) -> list[dict[str, Any]]:
    file = two.folder / f"{uuid.uuid4()}.jsonl"
    assert two.run("audit", "export", "--what", what, "--events-only", "-o", str(file)).status == 0
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("token", [None, "", "wrong-" + "w" * 40, HR[:-1], HR + "x", 7, ["x"], "\ud800" * 40])
@pytest.mark.parametrize("task", ["usher.invite_guest", "usher.job", "usher.check"])
def test_no_message_comes_without_a_token(two: Usher, task: str, token: Any) -> None:
    """The refusal names the header, and repeats nothing of what was sent."""
    said = refusal(_ask(two, token, task, "contoso", address()))
    assert said.startswith("usher_token ")
    assert "wrong-" not in said


def test_each_producer_does_what_it_may(two: Usher) -> None:
    """And the job, and the audit trail, name it."""
    sent = _ask(two, HR, "usher.invite_guests", "contoso", [{"email": address()}])
    job = sent["job"]
    assert _ask(two, HR, "usher.job", job)["job"] == job
    assert _ask(two, HR, "usher.invite_guest", "contoso", address())["status"] == "invited"
    assert _ask(two, HR, "usher.check", "contoso")["ok"]
    submitted = [event for event in _trail(two, "job.submitted") if event["job"] == job]
    assert [(event["by"].partition("@")[0], event["producer"]) for event in submitted] == [("producer hr", "hr")]


def test_nobody_sees_or_changes_anothers_job(two: Usher) -> None:
    """It is as if there were none of that id; each try is in the audit trail."""
    job = _ask(two, HR, "usher.invite_guests", "contoso", [{"email": address()}])["job"]
    for task in ("usher.job", "usher.results", "usher.cancel"):
        said = refusal(_ask(two, CRM, task, job))
        assert said == refusal(_ask(two, CRM, task, "aaaaaaaaaa")).replace("aaaaaaaaaa", job)
    tries = [event for event in _trail(two, "producer.refused") if event.get("job") == job]
    assert [(event["by"], event["producer"]) for event in tries] == [("producer crm", "crm")] * 3
    assert _ask(two, HR, "usher.job", job)["state"] != "cancelled"


def test_the_same_key_and_the_same_id_are_two_jobs(two: Usher) -> None:
    """Neither a key nor a task id leads into another producer's job; the same message again is the
    same job.
    """
    rows, key, task_id = [{"email": address()}], "list-7", f"shared-{uuid.uuid4()}"
    ours = _ask(two, HR, "usher.invite_guests", "contoso", rows, key)["job"]
    assert _ask(two, HR, "usher.invite_guests", "contoso", rows, key)["job"] == ours
    assert _ask(two, CRM, "usher.invite_guests", "contoso", rows, key)["job"] != ours
    mine = _ask(two, HR, "usher.invite_guest", "contoso", address(), task_id=task_id)["job"]
    two.client.backend.delete(two.client.backend.get_key_for_task(task_id))
    assert _ask(two, CRM, "usher.invite_guest", "contoso", address(), task_id=task_id)["job"] != mine


def test_a_producer_keeps_to_its_connections_and_operations(two: Usher) -> None:
    """The refusal names the field; whether there is such a connection is not told."""
    for name in ("fabrikam", "no-such-connection"):
        said = refusal(_ask(two, HR, "usher.invite_guest", name, address()))
        assert said.startswith("connection: the producer hr may not use a connection of that name.")
        refusal(_ask(two, HR, "usher.check", name))
    row = {"email": address(), "groups": "Partners"}
    said = refusal(_ask(two, HR, "usher.invite_guests", "contoso", [row]))
    assert said.startswith("groups: the producer hr may not ask for it.")
    before = two.sandbox.ask("stats")["invited"]
    assert refusal(_ask(two, HR, "usher.invite_guest", "contoso", **row)).startswith("groups: ")
    assert two.sandbox.ask("stats")["invited"] == before
    whys = [event["why"] for event in _trail(two, "producer.refused")]
    assert "groups: the producer hr may not ask for it." in whys


def test_a_producer_names_its_own_hosts(two: Usher) -> None:
    """Not those of another."""
    rows = [{"email": address()}]
    said = refusal(_ask(two, HR, "usher.invite_guests", "contoso", rows, notify="https://crm.example/x"))
    assert said.startswith("notify is at a host that notify.hosts does not name")


def test_a_day_has_an_end(two: Usher) -> None:
    """Rows count once, however often their message comes; what is too much is refused as a
    whole.
    """
    client = redis.Redis.from_url(two.redis_url)
    client.delete(*client.keys("usher:producer:crm:*") or ["none"])
    rows = [{"email": address()} for _ in range(2)]
    for _ in range(3):
        assert "job" in _ask(two, CRM, "usher.invite_guests", "contoso", rows, "a-day")
    said = refusal(_ask(two, CRM, "usher.invite_guests", "contoso", [{"email": address()} for _ in range(2)]))
    assert said.startswith("rows: the producer crm may submit 3 rows a day and has 1 left")
    assert _ask(two, CRM, "usher.invite_guest", "fabrikam", address())["status"] == "invited"
    assert refusal(_ask(two, CRM, "usher.invite_guest", "contoso", address())).startswith("rows: ")


def test_no_token_stays_anywhere(two: Usher) -> None:
    """Neither in the log nor in Redis, once its message is done."""
    _ask(two, HR, "usher.invite_guest", "contoso", address())
    everything = two.log().encode() + dump(redis.Redis.from_url(two.redis_url))
    assert HR.encode() not in everything
    assert CRM.encode() not in everything
    assert "Traceback" not in two.log()
