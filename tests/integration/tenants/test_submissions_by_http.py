"""A list through several connections is one submission by HTTP, too: taken in whole or not at all,
shown, watched, moved and downloaded as one.
"""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.consoles import Console, run_console
from tests.integration.console.test_kills import kill, loading
from tests.processes import wait_until
from tests.sandboxes import connection_table
from tests.sites import Site

TAGS = {"adatum": ["eu"], "bellows": ["eu", "retail"], "cronus": []}


def add_connections(site: Site, **table: str) -> None:
    """Give a site more connections, of its one tenant: how rows end is not what is tested here."""
    with (site.folder / "usher.toml").open("a") as file:
        for name, tags in TAGS.items():
            more = table if name == "cronus" else {}
            file.write(connection_table(name, site.sandbox.ready, tags=str(tags).replace("'", '"'), **more))


@pytest.fixture
def console(site: Site) -> Iterator[Console]:
    """A server with three connections more; one of them requires approval."""
    add_connections(site, require_approval="true")
    with run_console(site) as console:
        yield console


def people(count: int, *connections: str) -> list[dict[str, str]]:
    """Rows; each through one of these connections, in turn."""
    rows = [{"email": f"g{number}@fabrikam.example"} for number in range(count)]
    for number, row in enumerate(rows):
        row |= {"connection": connections[number % len(connections)]} if connections else {}
    return rows


def submit(console: Console, key: str = "", **body: Any) -> dict[str, Any]:
    """Submit rows; returns the answer."""
    answer = console.post("/v1/jobs", json=body, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/submissions/{told['submission']}"
    return told


async def test_submission_is_watched_and_read_as_one(site: Site, console: Console) -> None:
    """One answer, one stream, one progress with a job a connection, one file; and each job tells of
    it.
    """
    site.start_worker()
    told = submit(console, connections=["adatum", "bellows"], rows=people(5, "adatum", "bellows"))
    assert [job["connection"] for job in told["jobs"]] == ["adatum", "bellows"]
    assert (told["rows"], told["to_send"], told["bad"], told["errors"]) == (5, 5, 0, [])
    path = f"/v1/submissions/{told['submission']}"
    stands = [*console.events(f"{path}/events")]
    assert (stands[-1]["state"], stands[-1]["invited"]) == ("done", 5)
    shown = console.get(path)
    assert shown.json() == stands[-1]
    assert [(job["connection"], job["invited"]) for job in shown.json()["jobs"]] == [("adatum", 3), ("bellows", 2)]
    assert console.get(path, headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304
    job = told["jobs"][0]["job"]
    assert console.get(f"/v1/jobs/{job}").json()["submission"] == told["submission"]
    went, after = [], None
    while True:
        page = console.get(f"{path}/rows", params={"limit": 2, "after": after}).json()
        went += [(row["connection"], row["row"], row["status"]) for row in page["rows"]]
        if not (after := page.get("next")):
            break
    assert went == [
        *(("adatum", row, "invited") for row in (1, 2, 3)),
        *(("bellows", row, "invited") for row in (1, 2)),
    ]
    files = {form: console.get(f"{path}/results.{form}") for form in ("csv", "jsonl", "xlsx")}
    assert {answer.status_code for answer in files.values()} == {200}
    assert f'filename="{told["submission"]}.csv"' in files["csv"].headers["Content-Disposition"]
    lines = [*csv.DictReader(io.StringIO(files["csv"].text))]
    assert next(iter(lines[0])) == "connection"
    assert [line["connection"] for line in lines] == ["adatum"] * 3 + ["bellows"] * 2
    assert console.get("/v1/submissions/s-aaaaaaaaaa").status_code == 404


def test_key_makes_one_submission(console: Console) -> None:
    """Sent again it is the same, with the same jobs; another list under it is refused; other
    connections, or one alone, are another's.
    """
    rows = people(3)
    told = submit(console, "order-1", connections=["tag:eu"], rows=rows)
    assert [job["connection"] for job in told["jobs"]] == ["adatum", "bellows"]
    again = submit(console, "order-1", connections=["tag:eu"], rows=rows)
    assert (again["submission"], again["jobs"], again["rows"]) == (told["submission"], told["jobs"], 6)
    body = {"connections": ["tag:eu"], "rows": people(2)}
    other = console.post("/v1/jobs", json=body, headers={"Idempotency-Key": "order-1"})
    assert (other.status_code, told["submission"] in other.json()["detail"]) == (422, True)
    body = {"connections": ["tag:eu"], "rows": rows, "operation": "disable", "confirm": True}
    other = console.post("/v1/jobs", json=body, headers={"Idempotency-Key": "order-1"})
    assert (other.status_code, "another operation" in other.json()["detail"]) == (422, True)
    assert submit(console, "order-1", connection="bellows,adatum", rows=rows)["submission"] != told["submission"]
    one = console.post("/v1/jobs", json={"connection": "adatum", "rows": rows}, headers={"Idempotency-Key": "order-1"})
    assert "job" in one.json()
    assert len(console.get("/v1/jobs").json()["jobs"]) == 5


def test_lists_name_their_connections(console: Console) -> None:
    """As `-c` takes them, in a form, a query, or JSON; a row that names one goes through it alone,
    and one that names another is bad.
    """
    text = "email,connection\nann@fabrikam.example,all\nbob@fabrikam.example,bellows\neve@fabrikam.example,cronus\n"
    given: dict[str, Any] = {"data": {"connection": "tag:eu"}, "headers": {"Idempotency-Key": "fair"}}
    form, repeat = (console.post("/v1/jobs", files={"list": ("list.csv", text)}, **given) for _ in range(2))
    assert form.status_code == 202, form.text
    told, again = form.json(), repeat.json()
    for fault in told["errors"]:
        del fault["row"]  # no job of a submission knows it
    assert {**again, "warnings": []} == {**told, "warnings": []}
    assert (told["rows"], told["to_send"], told["bad"], [fault["line"] for fault in told["errors"]]) == (4, 3, 1, [4])
    assert [job["connection"] for job in told["jobs"]] == ["adatum", "bellows", ""]
    read = console.get(f"/v1/submissions/{told['submission']}/rows").json()["rows"]
    assert [(row["connection"], row["email"]) for row in read[3:]] == [("cronus", "eve@fabrikam.example")]
    for page in (f"/submissions/{told['submission']}", f"/jobs/{told['jobs'][-1]['job']}", "/jobs"):
        shown = console.get(page)
        assert (shown.status_code, "(none)" in shown.text or page.startswith("/jobs/")) == (200, True), shown.text
    assert console.post(f"/v1/jobs/{told['jobs'][-1]['job']}/retry").status_code in (409, 422)
    headers = {"Content-Type": "text/csv"}
    query = console.post(
        "/v1/jobs?connections=bellows&connections=adatum", data="email\na@b.example\n", headers=headers
    )
    assert [job["connection"] for job in query.json()["jobs"]] == ["adatum", "bellows"], query.text
    every = submit(console, connection="all", rows=people(1))
    assert [job["connection"] for job in every["jobs"]] == ["adatum", "bellows", "contoso", "cronus"]
    assert len(submit(console, connections=["adatum"], rows=people(1))["jobs"]) == 1
    rows = people(1)
    wrong = [
        {"rows": rows},
        {"rows": rows, "connection": "adatum", "connections": ["bellows"]},
        {"rows": rows, "connections": ["nowhere"]},
        {"rows": rows, "connection": "tag:nobody"},
        {"rows": rows, "connections": ["Adatum"]},
    ]
    answers = [console.post("/v1/jobs", json=body) for body in wrong]
    assert {answer.status_code for answer in answers} == {422}
    assert all(answer.json()["errors"] for answer in answers)


async def test_submission_is_moved_as_one(site: Site, console: Console) -> None:
    """Each of its jobs is paused, resumed and cancelled; those that wait for approval are approved
    by somebody else.
    """
    told = submit(console, connections=["adatum", "cronus"], rows=people(2))
    path, (free, waiting) = f"/v1/submissions/{told['submission']}", [job["job"] for job in told["jobs"]]

    def moved(verb: str, status: int = 200) -> dict[str, Any]:
        answer = console.post(f"{path}/{verb}")
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    assert [job["awaits_approval"] for job in console.get(path).json()["jobs"]] == [False, True]
    assert "somebody else must approve it" in moved("approve", 409)["detail"]
    key, anyone = site.desk.keys.job(waiting), {"by": "ada", "host": "elsewhere"}  # somebody of another host
    client: Any = site.desk.client
    await client.hset(key, "info", json.dumps(json.loads(await client.hget(key, "info")) | anyone))
    assert [job["state"] for job in moved("approve")["jobs"]] == ["running", "running"]
    assert {job["state"] for job in moved("pause")["jobs"]} == {"paused"}
    assert moved("resume")["state"] == "running"
    console.post(f"/v1/jobs/{free}/cancel")
    ended = moved("cancel")
    assert (ended["state"], ended["cancelled"], "finished_at" in ended) == ("cancelled", 4, True)
    assert "ended already" in moved("pause", 409)["detail"]


def test_dry_run_has_a_line_a_connection(console: Console) -> None:
    """And tells of each row through which it would go; nothing is left."""
    body = {"connections": ["adatum", "bellows"], "rows": [*people(2, "all"), *people(1, "bellows")]}
    told = console.post("/v1/dry-runs", json=body).json()
    assert [(one["connection"], one["plan"]["to_send"]) for one in told["jobs"]] == [("adatum", 2), ("bellows", 2)]
    assert (told["rows"], told["unasked"]) == (5, [])
    seen = sorted((row["connection"], row["row"], row["would"]) for row in told["foreseen"])
    assert seen[:2] == [("adatum", 1, "invite"), ("adatum", 2, "invite")]
    assert [name for name, _, _ in seen] == ["adatum"] * 2 + ["bellows"] * 3
    assert console.get("/v1/jobs").json() == {"jobs": []}


async def test_what_failed_is_tried_again_as_one(site: Site, console: Console) -> None:
    """As a new submission with the same key time and again; what goes on is left as it is."""
    rows = [
        {"email": "lost@blocked.example", "connection": "all"},
        {"email": "late@blocked.example", "connection": "bellows"},
    ]
    told = submit(console, connections=["adatum", "bellows", "cronus"], rows=rows)
    path = f"/v1/submissions/{told['submission']}"
    assert console.post(f"{path}/retry").status_code == 409
    site.start_worker()
    jobs = {job["connection"]: job["job"] for job in told["jobs"]}
    for name in ("adatum", "bellows"):
        await site.ended(jobs[name])
    answers = [console.post(f"{path}/retry", headers={"Idempotency-Key": "again"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], answers[0].text
    again, same = (answer.json() for answer in answers)
    assert (again["submission"], again["jobs"]) == (same["submission"], same["jobs"])
    assert again["submission"] != told["submission"]
    assert ([job["connection"] for job in again["jobs"]], again["rows"]) == (["adatum", "bellows"], 3)
    shown = console.get(f"/v1/submissions/{again['submission']}").json()
    assert shown["list"] == f"retry of {told['submission']}"


def test_ceiling_that_one_connection_meets_holds_no_other(console: Console) -> None:
    """Nothing is done there, and the answer says so; where all meet it, nothing at all."""
    body: dict[str, Any] = {
        "connections": ["adatum", "bellows"],
        "rows": [*people(2, "all"), {"email": "own@fabrikam.example", "connection": "bellows"}],
    }
    dry = console.post("/v1/dry-runs", json={**body, "most": 2}).json()
    assert [one["connection"] for one in dry["jobs"]] == ["adatum"]
    told = submit(console, **{**body, "most": 2})
    assert [job["connection"] for job in told["jobs"]] == ["adatum"]
    assert all(any("bellows: There would be 3" in one for one in answer["warnings"]) for answer in (dry, told))
    assert console.post("/v1/jobs", json={**body, "most": 1}).status_code == 409
    assert console.post("/v1/dry-runs", json={**body, "most": 1}).status_code == 409
    assert len(console.get("/v1/jobs").json()["jobs"]) == 1


@pytest.mark.usefixtures("one_day")
def test_producer_goes_through_its_own_connections(site: Site) -> None:
    """Names of others are refused; tags and `all` mean its own; what it submits is its own alone,
    and all of its rows count for the day.
    """
    add_connections(site)
    for name, limit in (("portal", 6), ("intake", 100)):
        (site.folder / name).write_text(name * 20)
        table = (
            f'[producers.{name}]\ntoken = "file:{name}"\nconnections = ["adatum", "bellows"]\ndaily_limit = {limit}\n'
        )
        with (site.folder / "usher.toml").open("a") as file:
            file.write(f"\n{table}")
    with run_console(site) as console:

        def be(name: str) -> None:
            console.browser.headers["Authorization"] = f"Bearer {name * 20}"

        be("portal")
        ways = (
            {"connections": ["adatum", "cronus"]},
            {"connection": "adatum,cronus"},
            {"connection": "adatum,nowhere"},
        )
        refused = [console.post("/v1/jobs", json={"rows": people(1), **how}) for how in ways]
        assert [answer.status_code for answer in refused] == [403] * 3
        assert "cronus" not in refused[2].text
        told = submit(console, "order-1", connection="all", rows=people(2))
        assert [job["connection"] for job in told["jobs"]] == ["adatum", "bellows"]
        assert submit(console, connections=["tag:retail"], rows=people(1))["jobs"][0]["connection"] == "bellows"
        path = f"/v1/submissions/{told['submission']}"
        assert console.get(path).json()["by"] == "producer portal"
        too_many = console.post("/v1/jobs", json={"connection": "all", "rows": people(1)})
        assert (too_many.status_code, "has 1 left" in too_many.json()["detail"]) == (429, True)
        assert submit(console, "order-1", connection="all", rows=people(2))["submission"] == told["submission"]
        be("intake")
        none = console.get("/v1/submissions/s-aaaaaaaaaa").json()["detail"]
        for answer in (
            *(console.get(path + more) for more in ("", "/rows", "/results.csv", "/events")),
            *(console.post(f"{path}/{verb}") for verb in ("pause", "resume", "cancel", "retry")),
        ):
            assert answer.status_code == 404
            assert answer.json()["detail"].replace(told["submission"], "s-aaaaaaaaaa") == none
        assert submit(console, "order-1", connection="all", rows=people(2))["submission"] != told["submission"]


LIST = "email\n" + "".join(f"g{n}@fabrikam.example\n" for n in range(5_000))
KEY = {"Idempotency-Key": "order-1", "Content-Type": "text/csv"}
PATH = "/v1/jobs?connection=tag:eu"


async def test_killed_during_a_submit_the_key_makes_one_submission(own_site: Site) -> None:
    """No job of a half runs; sent again with its key, the list is taken in whole, once."""
    add_connections(own_site)

    def send(console: Console) -> None:
        with pytest.raises(OSError):
            console.post(PATH, data=LIST, headers=KEY)

    with run_console(own_site, real=True) as console:
        sending = threading.Thread(target=send, args=(console,))
        sending.start()
        wait_until(lambda: loading(own_site) > 1, 20, "jobs that are being loaded")
        kill(console)
        sending.join()
    assert {view.state.value for view in await own_site.desk.jobs.listed(newest=10)} == {"loading"}
    client: Any = own_site.desk.client
    async for claim in client.scan_iter(match=own_site.desk.keys.taking("*")):
        await client.delete(claim)  # it would end by itself, some seconds from now
    with run_console(own_site) as console:

        def taken() -> Any:
            answer = console.post(PATH, data=LIST, headers=KEY)
            assert answer.status_code in (202, 409), answer.text
            return answer.json() if answer.status_code == 202 else None

        wait_until(taken, 60, "a list that is taken in")
        jobs = console.get("/v1/jobs").json()["jobs"]
        assert {(job["state"], job["rows"]) for job in jobs} == {("running", 5_000)}
        assert len(jobs) == 2
        again = console.post(PATH, data=LIST, headers=KEY).json()
        assert {job["submission"] for job in jobs} == {again["submission"]}
