"""Two producers with tokens of their own, who try everything against each other."""

from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.integration.producers.rivals import CRM, HR, LIMIT, Rivals, open_rival
from tests.integration.producers.wire import address, dump, refusal
from tests.processes import wait_until


@pytest.mark.parametrize("token", [None, "", "wrong-" + "w" * 40, HR[:-1], HR + "x", 7, ["x"], "\ud800" * 40])
@pytest.mark.parametrize("task", ["usher.invite_guest", "usher.job", "usher.check"])
def test_no_message_comes_without_a_token(two: Rivals, task: str, token: Any) -> None:
    """The refusal names the header, and repeats nothing of what was sent; the audit trail knows
    nobody.
    """
    task_id, before = f"any-{uuid.uuid4()}", len(two.refusals())
    two.crm.push(task_id, "contoso", address(), token=token, task=task)
    said = refusal(two.answered(task_id))
    assert said.startswith("usher_token ")
    assert "wrong-" not in said
    assert [(event["by"], event["task"]) for event in two.refusals()[before:]] == [("an unknown program", task_id)]


def test_each_producer_does_what_it_may(two: Rivals) -> None:
    """And the job, and the audit trail, name it."""
    sent = two.hr.ask("usher.invite_guests", "contoso", [{"email": address()}])
    job = sent["job"]
    assert two.hr.ask("usher.job", job)["job"] == job
    assert two.hr.ask("usher.invite_guest", "contoso", address())["status"] == "invited"
    assert two.hr.ask("usher.check", "contoso")["ok"]
    submitted = [event for event in two.trail("job.submitted") if event["job"] == job]
    assert [(event["by"].partition("@")[0], event["producer"]) for event in submitted] == [("producer hr", "hr")]


def test_nobody_sees_or_changes_anothers_job(two: Rivals) -> None:
    """It is as if there were none of that id; each try is in the audit trail."""
    job = two.hr.ask("usher.invite_guests", "contoso", [{"email": address()}])["job"]
    for task in ("usher.job", "usher.results", "usher.cancel"):
        said = refusal(two.crm.ask(task, job))
        assert said == refusal(two.crm.ask(task, "aaaaaaaaaa")).replace("aaaaaaaaaa", job)
    tries = [event for event in two.refusals() if event.get("job") == job]
    assert [(event["by"], event["producer"]) for event in tries] == [("producer crm", "crm")] * 3
    assert two.hr.ask("usher.job", job)["state"] != "cancelled"


def test_the_same_key_is_two_jobs(two: Rivals) -> None:
    """A key leads into no other producer's job; the same message again is the same job."""
    rows, key = [{"email": address()}], "list-7"
    ours = two.hr.ask("usher.invite_guests", "contoso", rows, key)["job"]
    assert two.hr.ask("usher.invite_guests", "contoso", rows, key)["job"] == ours
    assert two.crm.ask("usher.invite_guests", "contoso", rows, key)["job"] != ours
    task_id = two.hr.send("usher.invite_guest", "contoso", address())
    mine = two.hr.read(task_id)["job"]
    assert two.ask_again(two.hr, task_id, "usher.invite_guest", "contoso", address())["job"] == mine


def test_a_producer_keeps_to_its_connections_and_operations(two: Rivals) -> None:
    """The refusal names the field; whether there is such a connection is not told."""
    for name in ("fabrikam", "no-such-connection"):
        said = refusal(two.hr.ask("usher.invite_guest", name, address()))
        assert said.startswith("connection: the producer hr may not use a connection of that name.")
        refusal(two.hr.ask("usher.check", name))
    row = {"email": address(), "groups": "Partners"}
    said = refusal(two.hr.ask("usher.invite_guests", "contoso", [row]))
    assert said.startswith("groups: the producer hr may not ask for it.")
    assert refusal(two.hr.ask("usher.invite_guest", "contoso", **row)).startswith("groups: ")
    assert two.usher.sandbox.ask(f"guests?address={row['email']}") == []
    whys = [event["why"] for event in two.refusals()]
    assert "groups: the producer hr may not ask for it." in whys


def test_a_producer_names_its_own_hosts(two: Rivals) -> None:
    """Not those of another."""
    rows = [{"email": address()}]
    said = refusal(two.hr.ask("usher.invite_guests", "contoso", rows, notify="https://crm.example/x"))
    assert said.startswith("notify is at a host that notify.hosts does not name")


def test_a_day_has_an_end(two: Rivals) -> None:
    """Rows count once, however often their message comes; what is too much is refused as a
    whole.
    """
    day = next(two.root.scan_iter("usher:producer:crm:*"), "usher:producer:crm:none")
    used = int(two.root.hget(day, "n") or 0)
    rows = [{"email": address()} for _ in range(LIMIT - used - 1)]
    for _ in range(3):
        assert "job" in two.crm.ask("usher.invite_guests", "contoso", rows, "a-day")
    said = refusal(two.crm.ask("usher.invite_guests", "contoso", [{"email": address()} for _ in range(2)]))
    assert said.startswith(f"rows: the producer crm may submit {LIMIT} rows a day and has 1 left")
    assert two.crm.ask("usher.invite_guest", "fabrikam", address())["status"] == "invited"
    assert refusal(two.crm.ask("usher.invite_guest", "contoso", address())).startswith("rows: ")
    two.root.delete(day)


def test_no_token_stays_anywhere(two: Rivals) -> None:
    """Neither in the log nor in Redis, once its message is done."""
    two.hr.ask("usher.invite_guest", "contoso", address())
    everything = two.usher.log().encode() + dump(two.root)
    assert HR.encode() not in everything
    assert CRM.encode() not in everything
    assert "Traceback" not in two.usher.log()


@pytest.mark.usefixtures("one_day")
def test_what_a_producer_is_handed_out_is_all_that_it_needs(two: Rivals) -> None:
    """A user, a token, and rights that match: it sends and reads, its day is counted; taken away,
    its token opens nothing, and nobody has restarted anything.
    """
    added = two.usher.run("producers", "add", "portal", "-c", "contoso", "--daily-limit", "7", "--json")
    assert added.status == 0, added.err
    told = json.loads(added.out)
    with redis.Redis.from_url(two.usher.redis_url.replace("usher-worker:worker", "admin:admin")) as admin:
        execute: Any = admin.execute_command
        _, name, *rights = told["redis_user"].split()
        execute("ACL", "SETUSER", name, *rights)
    url = told["redis_url"].replace("PASSWORD", Path(told["password_file"]).read_text().strip())
    token = Path(told["token_file"]).read_text().strip()
    with contextlib.closing(open_rival("portal", token, two.usher, two.hr.console, url)) as portal:

        def said() -> str:
            return refusal(portal.ask("usher.job", "aaaaaaaaaa"))

        wait_until(lambda: said().startswith("There is no job"), 20, "workers that know the producer")
        assert portal.ask("usher.invite_guest", "contoso", address())["status"] == "invited"
        shown = json.loads(two.usher.run("producers", "list", "--json").out)["producers"]
        assert [(one["producer"], one["used_today"]) for one in shown if one["daily_limit"] == 7] == [("portal", 1)]
        assert two.usher.run("producers", "revoke", "portal", "--yes").status == 0
        wait_until(lambda: said().startswith("usher_token opens nothing"), 20, "workers that have forgotten it")
