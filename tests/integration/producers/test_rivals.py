"""Two producers try everything against each other, by messages and over HTTP: all of it is a
refusal that names the field, tells nothing of what there is, and is in the audit trail by name.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.producers.rivals import CRM, HR, LIMIT, OLD, Rival, Rivals
from tests.integration.producers.wire import address, refusal
from tests.processes import wait_until

NONE = "aaaaaaaaaa"
"""The id of a job that never was."""


@contextlib.contextmanager
def noted(two: Rivals, times: int, by: str = "producer crm") -> Iterator[list[str]]:
    """Expect so many refusals of one producer in the audit trail; yields why, once they are
    there.
    """
    before, whys = len(two.refusals()), list[str]()
    yield whys
    found = two.refusals()[before:]
    assert [event["by"] for event in found] == [by] * times, found
    whys += [event["why"] for event in found]


def _rows(count: int = 1, **fields: Any) -> list[dict[str, Any]]:
    return [{"email": address(), **fields} for _ in range(count)]


def _order(**changes: Any) -> dict[str, Any]:
    return {"connection": "contoso", "rows": _rows(), **changes}


def _problem(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


READS = ("", "/rows", "/results.csv", "/results.jsonl", "/results.xlsx", "/events")
MOVES = ("pause", "resume", "cancel", "retry")


def test_anothers_job_is_none(two: Rivals) -> None:
    """Read, watched, moved or listed, by message and over HTTP, whatever its state; as it stood, it
    stands.
    """
    job = two.hr.ask("usher.invite_guests", "contoso", _rows())["job"]
    done = wait_until(lambda: (view := two.hr.ask("usher.job", job))["state"] == "done" and view, 20, "a job's end")
    ways = [("GET", f"/v1/jobs/{{}}{path}") for path in READS] + [("POST", f"/v1/jobs/{{}}/{verb}") for verb in MOVES]
    tasks = ("usher.job", "usher.results", "usher.cancel")
    with noted(two, len(ways) + len(tasks)) as whys:
        for method, path in ways:
            answer, none = (two.crm.http(method, path.format(one)) for one in (job, NONE))
            assert answer.status_code == none.status_code == 404
            assert answer.text == none.text.replace(NONE, job)
        for task in tasks:
            assert refusal(two.crm.ask(task, job)) == refusal(two.crm.ask(task, NONE)).replace(NONE, job)
    assert set(whys) == {"id: the job is another's."}
    with noted(two, 1) as whys:
        said = _problem(two.crm.http("POST", f"/v1/jobs/{job}/approve"))
    assert whys == [said]
    assert said.startswith("approve: this needs the role approve")
    with noted(two, 2) as whys:
        assert {two.crm.http("GET", f"{path}{job}").status_code for path in ("/jobs/", "/jobs?job=")} == {403}
    assert set(whys) == {"page: A token opens /v1; pages are for people, who sign in."}
    assert job not in two.crm.http("GET", "/v1/jobs?limit=200").text
    assert two.hr.ask("usher.job", job) == done


def test_anothers_submission_is_none(two: Rivals) -> None:
    """A list of crm's through two connections: for hr it never was, whole or by its jobs; by
    message it is nobody's.
    """
    rows = [*_rows(connection="fabrikam"), *_rows(connection="contoso")]
    order = {"connections": ["contoso", "fabrikam"], "rows": rows}
    posted = two.crm.http("POST", "/v1/jobs", json=order).json()
    name, jobs = posted["submission"], [one["job"] for one in posted["jobs"]]
    paths = [f"/v1/submissions/{{}}{path}" for path in READS]
    with noted(two, len(paths) + len(MOVES) + len(jobs) + 3, "producer hr") as whys:
        for path in paths:
            answer, none = (two.hr.http("GET", path.format(one)) for one in (name, f"s-{NONE}"))
            assert (answer.status_code, answer.text) == (404, none.text.replace(f"s-{NONE}", name))
        for verb in MOVES:
            assert two.hr.http("POST", f"/v1/submissions/{name}/{verb}").status_code == 404
        for job in jobs:
            assert two.hr.http("GET", f"/v1/jobs/{job}").status_code == 404
        for task in ("usher.job", "usher.results", "usher.cancel"):
            assert refusal(two.hr.ask(task, name)).startswith(f"There is no job {name}: it never was")
    assert set(whys) == {"id: the job is another's."}
    with noted(two, 1, "producer hr"):
        assert two.hr.http("POST", f"/v1/submissions/{name}/approve").status_code == 403
    assert two.crm.http("GET", f"/v1/submissions/{name}").json()["state"] in ("running", "done")


def test_the_same_key_makes_two_jobs_in_all_ways(two: Rivals) -> None:
    """By message, over HTTP, and across: four jobs, and no answer hints at another."""
    key, rows = f"order-{uuid.uuid4()}", _rows()
    answers = [rival.ask("usher.invite_guests", "contoso", rows, key) for rival in (two.hr, two.crm)]
    headers = {"Idempotency-Key": key}
    for rival in (two.hr, two.crm):
        posted = rival.http("POST", "/v1/jobs", json={"connection": "contoso", "rows": rows}, headers=headers)
        assert posted.status_code == 202, posted.text
        assert posted.json()["warnings"] == []
        answers.append(posted.json())
    assert len({answer["job"] for answer in answers}) == 4
    other = two.crm.http("POST", "/v1/jobs", json=_order(rows=_rows(2)), headers={"Idempotency-Key": f"{key}-2"})
    assert other.status_code == 202


def test_whose_guest_was_invited_before_is_not_told(two: Rivals) -> None:
    """The row is skipped, without the id of the other's job: in a result, a file, a dry run."""
    email = address()
    theirs = two.hr.ask("usher.invite_guest", "contoso", email)
    assert theirs["status"] == "invited"
    mine = two.crm.ask("usher.invite_guest", "contoso", email)
    said = [mine["error_message"]]
    assert (mine["status"], mine["error_code"]) == ("skipped", "invited_before")
    said += [row["error_message"] for row in two.crm.ask("usher.results", mine["job"])["rows"]]
    said += [row["error_message"] for row in two.crm.http("GET", f"/v1/jobs/{mine['job']}/rows").json()["rows"]]
    said.append(two.crm.http("GET", f"/v1/jobs/{mine['job']}/results.csv").text)
    dry = two.crm.http("POST", "/v1/dry-runs", json=_order(rows=[{"email": email}]))
    said.append(dry.json()["foreseen"][0]["why"])
    assert all("a job invited this guest" in text and theirs["job"] not in text for text in said), said


@pytest.mark.parametrize("host", ["hooks.example", "evil.example", "127.0.0.1"])
def test_nobody_has_anothers_host_told(two: Rivals, host: str) -> None:
    """crm may name crm.example, which hr may not."""
    target = f"https://{host}/hook"
    with noted(two, 2) as whys:
        said = refusal(two.crm.ask("usher.invite_guests", "contoso", _rows(), notify=target))
        assert said.startswith("notify is at a host that notify.hosts does not name")
        assert _problem(two.crm.http("POST", "/v1/jobs", json=_order(notify=target))).startswith(
            "notify: It is at a host"
        )
    assert all(why.casefold().startswith("notify: it is at a host") for why in whys)
    assert "job" in two.crm.ask("usher.invite_guests", "contoso", _rows(), notify="https://crm.example/hook")


@pytest.mark.parametrize("name", ["fabrikam", "northwind", "no-such", "sandbox"])
def test_anothers_connection_may_as_well_not_be(two: Rivals, name: str) -> None:
    """One sentence for one that there is and one that there is not."""
    with noted(two, 6, "producer hr") as whys:
        said = [
            refusal(two.hr.ask("usher.invite_guest", name, address())),
            refusal(two.hr.ask("usher.invite_guests", name, _rows())),
            refusal(two.hr.ask("usher.check", name)),
            _problem(two.hr.http("POST", "/v1/jobs", json=_order(connection=name))),
            _problem(two.hr.http("POST", "/v1/dry-runs", json=_order(connection=name))),
            _problem(
                two.hr.http("POST", f"/v1/jobs?connection={name}", data="email\n", headers={"Content-Type": "text/csv"})
            ),
        ]
    assert set(whys) == {"connection: the producer hr may not use a connection of that name."}
    assert set(said) == {f"{whys[0]} Nothing was accepted."}
    shown = two.hr.http("GET", "/v1/connections").json()["connections"]
    assert [one["connection"] for one in shown] == ["contoso"]


@pytest.mark.parametrize("names", ["contoso,fabrikam", "contoso,northwind", "contoso,no-such"])
def test_several_connections_are_all_its_own_or_none(two: Rivals, names: str) -> None:
    """`all` is all of its own; a tag that only another's connection has is none at all."""
    for path in ("/v1/jobs", "/v1/dry-runs"):
        with noted(two, 1, "producer hr") as whys:
            order = {"connections": names.split(","), "rows": _rows()}
            assert _problem(two.hr.http("POST", path, json=order)).startswith("connection: the producer hr may not use")
        assert whys == ["connection: the producer hr may not use a connection of that name."]
    said = {_problem(two.hr.http("POST", "/v1/jobs", json=_order(connection=f"tag:{tag}"))) for tag in ("east", "no")}
    assert {sentence.replace("east", "no") for sentence in said} == {
        "connection: No connection has the tag no. Nothing was accepted."
    }
    posted = two.hr.http("POST", "/v1/jobs", json=_order(connection="all")).json()
    assert [one["connection"] for one in posted["jobs"]] == ["contoso"]
    with noted(two, 1, "producer hr"):
        refusal(two.hr.ask("usher.invite_guests", names, _rows()))


def test_a_rows_own_connection_leads_nowhere(two: Rivals) -> None:
    """The row ends failed, whosesoever connection it names; the others go."""
    for name in ("northwind", "no-such", "fabrikam"):
        rows = [*_rows(), *_rows(connection=name)]
        with noted(two, 2) as whys:
            jobs = [two.crm.ask("usher.invite_guests", "contoso", rows)["job"]]
            jobs.append(two.crm.http("POST", "/v1/jobs", json=_order(rows=rows, accept_bad=True)).json()["job"])
        assert all(why.startswith("connection: rows name one that was not asked for") for why in whys)
        for job in jobs:
            last = two.crm.ask("usher.results", job)["rows"][1]
            assert (last["status"], last["error_code"]) == ("failed", "invalid_row")
            said = f'connection names "{name}", another connection than was chosen.'
            assert last["error_message"] == f"Not sent: row 2: {said}"


STAGES: tuple[dict[str, Any], ...] = (
    {"groups": "Partners"},
    {"groups": "no such group"},
    {"sponsors": "ada@contoso.example"},
    {"company": "x"},
)


@pytest.mark.parametrize("fields", STAGES, ids=str)
def test_what_follows_an_invitation_is_an_operation_too(two: Rivals, fields: dict[str, Any]) -> None:
    """By a row, by a field for all rows, behind the same address; whether a group of that name is
    there is not told.
    """
    email = address()
    rows = [{"email": email, **fields}]
    (name,) = ({"company": "profile"}.get(next(iter(fields)), next(iter(fields))),)
    with noted(two, 6) as whys:
        said = [
            refusal(two.crm.ask("usher.invite_guest", "contoso", email, **fields)),
            refusal(two.crm.ask("usher.invite_guests", "contoso", rows)),
            refusal(two.crm.ask("usher.invite_guests", "contoso", [{"email": email}], **fields)),
            _problem(two.crm.http("POST", "/v1/jobs", json=_order(rows=rows))),
            _problem(two.crm.http("POST", "/v1/dry-runs", json=_order(rows=rows))),
            _problem(two.crm.http("POST", "/v1/jobs", json=_order(rows=rows, strict=True))),
        ]
    assert set(whys) == {f"{name}: the producer crm may not ask for it."}
    assert set(said) == {f"{whys[0]} Nothing was accepted."}
    assert two.usher.sandbox.ask(f"guests?address={email}") == []


def test_a_group_for_all_rows_is_not_looked_up(two: Rivals) -> None:
    """One that there is and one that there is not are answered alike."""
    for path in ("/v1/jobs", "/v1/dry-runs"):
        with noted(two, 2):
            answers = [two.crm.http("POST", path, json=_order(groups=[name])) for name in ("Partners", "no such")]
        assert {(answer.status_code, _problem(answer)) for answer in answers} == {
            (403, "groups: the producer crm may not ask for it. Nothing was accepted.")
        }


def test_a_list_through_several_is_judged_before_it_is_looked_at(two: Rivals) -> None:
    """The rows of one connection are enough: nothing is taken in through the others either."""
    rows = [*_rows(connection="contoso"), *_rows(connection="fabrikam", groups="Partners")]
    before = len(two.crm.http("GET", "/v1/jobs?limit=200").json()["jobs"])
    for path in ("/v1/jobs", "/v1/dry-runs"):
        with noted(two, 1):
            order = {"connections": ["contoso", "fabrikam"], "rows": rows}
            assert _problem(two.crm.http("POST", path, json=order)).startswith("groups: the producer crm may not")
    assert len(two.crm.http("GET", "/v1/jobs?limit=200").json()["jobs"]) == before


def test_a_repeated_address_carries_nothing_past_the_bounds(two: Rivals) -> None:
    """A duplicate ends unsent, and so does what it asks for."""
    email = address()
    job = two.crm.ask("usher.invite_guests", "contoso", [{"email": email}, {"email": email, "groups": "Partners"}])[
        "job"
    ]
    _ended(two.crm, job)
    rows = two.crm.ask("usher.results", job)["rows"]
    assert [(row["status"], row.get("groups_status", "")) for row in rows] == [("invited", ""), ("skipped", "skipped")]


def test_an_operation_that_is_not_its_own_is_refused(two: Rivals) -> None:
    """Whatever takes something away, and what there is not."""
    for operation in ("disable", "delete", "remind", "clean", "no-such"):
        with noted(two, 2) as whys:
            for path in ("/v1/jobs", "/v1/dry-runs"):
                _problem(two.crm.http("POST", path, json=_order(operation=operation, confirm=True)))
        assert set(whys) == {f"operation: the producer crm may not ask for {operation}."}
    with noted(two, 4) as whys:
        assert two.crm.http("GET", "/v1/guests?connection=contoso").status_code == 403
        for verb in ("check", "hold", "reopen"):
            answer = two.crm.http("POST", f"/v1/connections/contoso/{verb}", json={"reason": "x"})
            assert answer.status_code == 403
    assert [why.partition(":")[0] for why in whys] == ["guests", "operate", "operate", "operate"]


def test_a_task_that_is_ushers_own_is_refused_by_name(two: Rivals) -> None:
    """Those of schedules and chunks, in the one queue that a producer reaches."""
    for task in ("usher.scheduled", "usher.run_chunk", "usher.settle"):
        with noted(two, 1) as whys:
            said = refusal(two.crm.ask(task, "nightly"))
        assert said.startswith("There is no task of that name")
        assert whys[0].startswith("There is no task of that name")


def _ended(rival: Rival, job: str) -> None:
    wait_until(lambda: rival.ask("usher.job", job)["state"] == "done", 20, "a job's end")


def _used(two: Rivals) -> int:
    day = next(two.root.scan_iter("usher:producer:crm:*"), None)
    return int(two.root.hget(day, "n") or 0) if day else 0


@pytest.mark.usefixtures("one_day")
def test_a_day_is_one_however_its_rows_come(two: Rivals) -> None:
    """Split over messages, sent again, over HTTP, as a retry, as a dry run; hr's day is another."""
    two.root.delete(*two.root.scan_iter("usher:producer:crm:*"), "usher:none")
    failing = [{"email": f"x{n}-{uuid.uuid4().hex[:6]}@uninvitable.example"} for n in range(2)]
    job = two.crm.ask("usher.invite_guests", "contoso", failing)["job"]
    task_id = two.crm.send("usher.invite_guests", "contoso", _rows(LIMIT // 2))
    again = two.crm.read(task_id)["job"]
    assert two.ask_again(two.crm, task_id, "usher.invite_guests", "contoso", _rows(LIMIT))["job"] == again
    for one in (job, again):
        _ended(two.crm, one)
    assert _used(two) == 2 + LIMIT // 2
    assert two.usher.run("jobs", "delete", again, "--yes").status == 0
    assert two.ask_again(two.crm, task_id, "usher.invite_guests", "contoso", _rows(5))["job"] == again
    assert _used(two) == 2 + LIMIT // 2 + 5
    left = LIMIT - _used(two)
    assert two.crm.http("POST", "/v1/dry-runs", json=_order(rows=_rows(left + 5))).status_code == 200
    assert two.crm.http("POST", "/v1/jobs", json=_order(rows=_rows(left - 1))).status_code == 202
    with noted(two, 4) as whys:
        assert two.crm.http("POST", f"/v1/jobs/{job}/retry").status_code == 429
        for number in range(2):
            refusal(two.crm.ask("usher.invite_guests", "contoso", _rows(2), f"split-{number}"))
        assert two.crm.http("POST", "/v1/jobs", json=_order(rows=_rows(2))).status_code == 429
    assert set(whys) == {f"rows: the producer crm may submit {LIMIT} rows a day and has 1 left until midnight, UTC."}
    assert two.crm.ask("usher.invite_guest", "fabrikam", address())["status"] == "invited"
    with noted(two, 1):
        refusal(two.crm.ask("usher.invite_guest", "fabrikam", address()))
    assert two.hr.http("POST", "/v1/jobs", json=_order(rows=_rows(2))).status_code == 202
    two.root.delete(*two.root.scan_iter("usher:producer:crm:*"))


def _captured(rival: Rival, **changes: Any) -> tuple[str, list[Any], dict[str, Any]]:
    """Return a message as somebody would have it who saw one."""
    return f"{rival.name}-{uuid.uuid4()}", ["contoso", address()], {"task": "usher.invite_guest", **changes}


def test_a_captured_message_is_worth_nothing(two: Rivals) -> None:
    """With one's own token, none, one that was rolled off: not run. As it was: what it was before,
    and nobody is mailed twice.
    """
    task_id, guest, headers = _captured(two.hr)
    two.hr.push(task_id, *guest, token=HR, **headers)
    first = two.answered(task_id)
    assert first["status"] == "invited"
    for token in (CRM, None, OLD):
        with noted(two, 1, "producer crm" if token == CRM else "an unknown program"):
            two.crm.push(task_id, *guest, token=token, **headers)
            two.crm.ask("usher.job", NONE)
    for _ in range(2):
        two.root.delete(f"usher:res:celery-task-meta-{task_id}")
        two.crm.push(task_id, *guest, token=HR, **headers)
        assert two.answered(task_id) == first
    other, _, _ = _captured(two.crm)
    two.crm.push(other, *guest, token=CRM, **headers)
    assert two.answered(other)["status"] == "skipped"
    [guest_seen] = two.usher.sandbox.ask(f"guests?address={guest[1]}")
    assert guest_seen["mails"] == 1


def test_a_captured_request_is_worth_nothing(two: Rivals) -> None:
    """Its key with one's own token is another job; without a token, or with one that was rolled
    off, it is no request.
    """
    key, order = {"Idempotency-Key": str(uuid.uuid4())}, _order()
    theirs = two.hr.http("POST", "/v1/jobs", json=order, headers=key).json()["job"]
    assert two.crm.http("POST", "/v1/jobs", json=order, headers=key).json()["job"] != theirs
    bare = two.crm.console.browser.post(f"{two.crm.console.url}/v1/jobs", json=order, headers=key, timeout=20)
    assert bare.status_code == 401
    with noted(two, 1, "an unknown program") as whys:
        headers = key | {"Authorization": f"Bearer {OLD}"}
        assert two.crm.http("POST", "/v1/jobs", json=order, headers=headers).status_code == 401
    assert whys == ["Authorization: the token opens nothing."]


def test_a_list_of_jobs_goes_on_by_nothing_of_anothers(two: Rivals) -> None:
    """Its cursor opens for whom it was given, and holds no id."""
    for _ in range(2):
        theirs = two.hr.http("POST", "/v1/jobs", json=_order()).json()["job"]
    two.crm.http("POST", "/v1/jobs", json=_order())
    page = two.crm.http("GET", "/v1/jobs?limit=1").json()
    assert "-" + theirs not in page["next"]
    assert page["next"].partition("-")[0].isdigit() is False
    assert two.crm.http("GET", f"/v1/jobs?limit=1&cursor={page['next']}").status_code == 200
    for cursor in (page["next"], f"1700000000000-{theirs}"):
        assert two.hr.http("GET", f"/v1/jobs?limit=1&cursor={cursor}").json()["errors"][0]["field"] == "cursor"
