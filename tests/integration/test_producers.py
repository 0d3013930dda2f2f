"""The producers' wire: a real worker, and clients that know nothing but names and JSON, some of them careless, some hostile."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery import Celery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.scheduled.context import Context
from tests.processes import ROOT, wait_until
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher

COUNTS = ("invited", "already_guest", "skipped", "failed", "in_doubt", "pending", "cancelled")


def _tables(ready: dict[str, Any]) -> str:
    wrong = Path(ready["ca_file"]).parent / "wrong-secret"
    wrong.write_text("no-such-secret-7f3a", encoding="utf-8")
    return "\n".join(
        [
            connection_table("contoso", ready, blocked_domains='["blocked.example"]'),
            connection_table("locked", ready, client_secret=f'"file:{wrong}"', tenant_id='"other.example"'),
            connection_table("away", ready, authority='"https://127.0.0.1:9/away.example"', tenant_id='"away.example"'),
        ]
    )


@pytest.fixture(scope="module")
def usher() -> Iterator[Usher]:
    """One worker that sends events and logs at DEBUG; every address these tests use ends in `.private.example`."""
    folder = Path(tempfile.mkdtemp(prefix="wire", dir="/tmp"))
    try:
        options = ("--quota", "off", "--replication", "0")
        with run_usher(folder, "-E", "-l", "DEBUG", sandbox_options=options, tables=_tables) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def address(name: str = "guest") -> str:
    """A new address that a search for leaks finds."""
    return f"{name}-{uuid.uuid4().hex[:10]}@mail.private.example"


def refusal(answer: dict[str, Any]) -> str:
    """The sentences of a refusal, which carries nothing else."""
    assert answer["status"] == "refused", answer
    assert set(answer) == {"status", "errors"}
    assert answer["errors"]
    assert all(isinstance(sentence, str) and sentence.endswith((".", "?")) for sentence in answer["errors"]), answer
    return " ".join(answer["errors"])


# One guest


def test_a_guest_is_invited_and_the_outcome_comes_back(usher: Usher) -> None:
    """The outcome holds ids and verdicts, and the sandbox mailed once."""
    email = address("Ann")
    answer = usher.ask("usher.invite_guest", "contoso", email, display_name="Ann Private", ref="order-7")
    assert next(iter(answer)) == "status", "Flower cuts it short"
    expected = {"job", "row", "ref", "status", "user_id", "invitation_id", "mail", "error_code", "error_message"}
    assert set(answer) == expected | {"request_id", "attempts", "finished_at"}
    assert (answer["status"], answer["row"], answer["ref"], answer["mail"]) == ("invited", 1, "order-7", "requested")
    (guest,) = usher.sandbox.ask(f"guests?address={email}")
    assert (guest["id"], guest["mails"], guest["display_name"]) == (answer["user_id"], 1, "Ann Private")


def test_the_same_task_id_twice_is_the_same_job(usher: Usher) -> None:
    """A producer that is not sure sends the same message again; nobody is mailed twice."""
    email, task_id = address(), str(uuid.uuid4())
    first = usher.ask_with("usher.invite_guest", ["contoso", email], {}, task_id=task_id)
    usher.client.AsyncResult(task_id).forget()
    second = usher.ask_with("usher.invite_guest", ["contoso", email], {}, task_id=task_id)
    assert first == second
    assert usher.sandbox.ask(f"guests?address={email}")[0]["mails"] == 1


def test_what_cannot_be_sent_now_is_pending_and_says_why(usher: Usher) -> None:
    """A wrong secret holds the connection; the row waits in its job, its message has left the broker, and it can be cancelled."""
    email = address("waits")
    answer = usher.ask("usher.invite_guest", "locked", email, wait_s=1)
    assert set(answer) == {"status", "job", "row", "why"}
    assert answer["status"] == "pending"
    assert answer["why"]
    view = usher.ask("usher.job", answer["job"])
    assert (view["rows"], view["pending"]) == (1, 1)
    cancelled = usher.ask("usher.cancel", answer["job"])
    assert (cancelled["state"], cancelled["cancelled"]) == ("cancelled", 1)


def test_while_a_guest_is_waited_for_the_broker_holds_nothing_of_it(usher: Usher) -> None:
    """The message is acknowledged as soon as the ledger has the row."""
    email = address("early")
    result = usher.client.send_task("usher.invite_guest", ["locked", email], {"wait_s": 4})
    database = redis.Redis.from_url(usher.redis_url)
    try:
        wait_until(lambda: f"[{result.id}] received" in usher.log(), 10, "the message taken in")
        wait_until(lambda: email.encode() not in _dump(database, "usher:mq:"), 3, "the message gone from the broker")
        assert not result.ready()
    finally:
        database.close()
    assert result.get(timeout=30)["status"] == "pending"


def test_a_wait_of_nothing_answers_at_once(usher: Usher) -> None:
    """`wait_s=0`: the row is accepted, and goes on by itself."""
    email = address()
    answer = usher.ask("usher.invite_guest", "contoso", email, wait_s=0)
    assert answer["status"] == "pending"
    assert usher.finished(answer["job"])["invited"] == 1


def test_an_unreachable_microsoft_leaves_the_row_pending(usher: Usher) -> None:
    """Nothing left, so nothing is in doubt; its `why` says what is the matter, not that it waits for its turn."""
    answer = usher.ask("usher.invite_guest", "away", address(), wait_s=5)
    assert answer["status"] == "pending"
    assert "reached" in answer["why"], answer
    usher.ask("usher.cancel", answer["job"])


REFUSED: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "unknown field": (["contoso", "E"], {"displayname": "Ann"}, "did you mean display_name?"),
    "unknown connection": (["contosso", "E"], {}, "did you mean contoso?"),
    "swapped arguments": (["E", "contoso"], {}, "not the name of a connection"),
    "bad address": (["contoso", "ann at private.example"], {}, "email is not an e-mail address"),
    "newer version": (["contoso", "E"], {"version": 2}, "newer version"),
    "odd version": (["contoso", "E"], {"version": "E"}, "version must be a whole number"),
    "missing email": (["contoso"], {}, "email is missing"),
    "missing everything": ([], {}, "connection is missing"),
    "too many arguments": (["contoso", "E", 5, "more"], {}, "Too many arguments"),
    "given twice": (["contoso", "E"], {"email": "E"}, "email was given twice"),
    "email as list": (["contoso", ["E"]], {}, "email must be text"),
    "email as object": (["contoso", {"email": "E"}], {}, "email must be text"),
    "connection as number": ([5, "E"], {}, "connection is missing or not a text"),
    "wait as text": (["contoso", "E"], {"wait_s": "long"}, "wait_s must be a number"),
    "wait below nothing": (["contoso", "E"], {"wait_s": -1}, "wait_s must be a number"),
    "wait as truth": (["contoso", "E"], {"wait_s": True}, "wait_s must be a number"),
    "message too long": (["contoso", "E"], {"message": "x" * 5001}, "message is longer than 5000"),
    "redirect without host": (["contoso", "E"], {"redirect_url": "portal"}, "redirect_url is not a full web address"),
    "resend as text": (["contoso", "E"], {"resend": "yes"}, "resend must be true or false"),
    "address as field": (["contoso", "E"], {"E": 1}, "(not shown) is not a field"),
    "half a character": (["contoso", "\ud800@x.example"], {}, "email is not an e-mail address"),
    "half a character in the connection": (["\ud800", "E"], {}, "connection is not valid Unicode"),
    "the task itself": (["contoso", "E"], {"self": 1}, "self is not a field"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_guest_that_cannot_be_accepted_is_refused_in_words(usher: Usher, case: str) -> None:
    """What is wrong is said, what was sent is not repeated, nothing enters the ledger."""
    args, kwargs, sentence = REFUSED[case]
    email = address()
    args = json.loads(json.dumps(args).replace('"E"', f'"{email}"'))
    kwargs = json.loads(json.dumps(kwargs).replace('"E"', f'"{email}"'))
    task_id = str(uuid.uuid4())
    said = refusal(usher.ask_with("usher.invite_guest", args, kwargs, task_id=task_id))
    assert sentence in said
    assert "private.example" not in said


def test_numbers_beyond_any_float_are_cut(usher: Usher) -> None:
    """JSON has numbers that Python's float does not."""
    assert usher.ask("usher.invite_guest", "contoso", address(), wait_s=10**400)["status"] == "invited"
    assert usher.ask("usher.invite_guest", "contoso", address(), wait_s=float("inf"))["status"] == "invited"


# Lists


def test_a_list_runs_bad_rows_end_and_duplicates_are_skipped(usher: Usher) -> None:
    """One result at once, then the job; each row ends as what it is, and its page names nobody."""
    ann, bob = address("ann"), address("bob")
    rows: list[dict[str, Any]] = [
        {"email": ann, "ref": "a"},
        {"email": bob, "send_message": False},
        {"email": ann.upper(), "ref": "again"},
        {"email": "nobody", "ref": "bad"},
        {"email": address("language"), "language": "klingon-x-1-2"},
        {"ref": "none"},
        {"email": "carl@blocked.example"},
        {"email": None},
        {"email": "\ud800"},
    ]
    answer = usher.ask("usher.invite_guests", "contoso", rows, redirect_url="https://portal.example/welcome")
    view = {"job", "connection", "state", "why", "rows", *COUNTS, "created_at"}
    assert set(answer) == view
    ended = usher.finished(answer["job"])
    assert set(ended) == view
    assert {name: ended[name] for name in ("rows", *COUNTS)} == {
        "rows": 9,
        "invited": 2,
        "already_guest": 0,
        "skipped": 1,
        "failed": 6,
        "in_doubt": 0,
        "pending": 0,
        "cancelled": 0,
    }
    page = usher.ask("usher.results", answer["job"])
    assert "next" not in page
    assert [(row["status"], row["error_code"], row["ref"]) for row in page["rows"]] == [
        ("invited", "", "a"),
        ("invited", "", ""),
        ("skipped", "duplicate", "again"),
        ("failed", "invalid_row", "bad"),
        ("failed", "invalid_row", ""),
        ("failed", "invalid_row", "none"),
        ("failed", "blocked_domain", ""),
        ("failed", "invalid_row", ""),
        ("failed", "invalid_row", ""),
    ]
    assert [usher.sandbox.ask(f"guests?address={email}")[0]["mails"] for email in (ann, bob)] == [1, 0]


def test_the_same_key_is_the_same_job(usher: Usher) -> None:
    """Whatever the task id: a nightly producer names its run and may send it as often as it likes."""
    key, rows = f"nightly-{uuid.uuid4()}", [{"email": address()} for _ in range(3)]
    first = usher.ask("usher.invite_guests", "contoso", rows, key=key)
    usher.finished(first["job"])
    second = usher.ask("usher.invite_guests", "contoso", rows, key)
    assert second["job"] == first["job"]
    assert (second["rows"], second["invited"]) == (3, 3)
    other = usher.ask("usher.invite_guests", "away", rows[:1], key=key)
    assert other["job"] != first["job"]
    usher.ask("usher.cancel", other["job"])


def test_ids_of_keys_tasks_and_schedules_never_meet(usher: Usher) -> None:
    """A text that is one's key or time is another's task id, another connection's, another sender's: each is a job of its own."""
    due_ms, plain = 1_764_380_000_000, f"nightly-{uuid.uuid4().hex}"
    rows = [{"email": address()}]
    texts = (plain, f"contoso {plain}", f"schedule {plain} {due_ms}", f"schedule retry {plain}")
    schedule = SimpleNamespace(name=plain)
    jobs = [Context(None, schedule, due_ms).job]  # type: ignore[arg-type]
    for text in texts:
        jobs += [
            usher.ask_with("usher.invite_guests", ["contoso", rows], {}, task_id=text)["job"],
            usher.ask("usher.invite_guests", "contoso", rows, key=text)["job"],
            usher.ask("usher.invite_guests", "locked", rows, key=text)["job"],
            usher.ask_with("usher.invite_guests", ["locked", rows], {}, task_id=f"{text}-2")["job"],
            usher.ask_with("usher.invite_guest", ["contoso", address()], {"wait_s": 0}, task_id=f"{text}-3")["job"],
        ]
    assert len(set(jobs)) == len(jobs)


def test_a_key_is_its_senders(usher: Usher) -> None:
    """Who sends stands before the UUID of the task id; the same key of somebody else is a job of theirs, and told to them alone."""
    key, rows = str(uuid.uuid4()), [{"email": address()}]

    def send(sender: str) -> dict[str, Any]:
        return usher.ask_with("usher.invite_guests", ["contoso", rows], {"key": key}, task_id=f"{sender}{uuid.uuid4()}")

    portal, shop, nobody = send("portal-"), send("shop-"), send("")
    assert len({told["job"] for told in (portal, shop, nobody)}) == 3
    assert [send(sender)["job"] for sender in ("portal-", "shop-", "")] == [
        told["job"] for told in (portal, shop, nobody)
    ]


def test_results_come_in_pages(usher: Usher) -> None:
    """`next` is the `after` of the next page; the last has none."""
    rows = [{"email": address(), "ref": f"r{number}"} for number in range(1, 251)]
    job = usher.ask("usher.invite_guests", "contoso", rows)["job"]
    usher.finished(job)
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        page = usher.ask("usher.results", job, after, limit=120)
        assert page["state"] == "done"
        seen += [row["ref"] for row in page["rows"]]
        after = page.get("next")
    assert seen == [f"r{number}" for number in range(1, 251)]
    assert usher.ask("usher.results", job, after=250)["rows"] == []
    assert len(usher.ask("usher.results", job, limit=10**30)["rows"]) == 250


REFUSED_LISTS: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "too many": (["contoso", [{"email": "a@private.example"}] * 1001], {}, "1001 rows are more than the 1000"),
    "none": (["contoso", []], {}, "at least one object"),
    "missing": (["contoso"], {}, "rows must be a list"),
    "an object": (["contoso", {"email": "a@private.example"}], {}, "rows must be a list"),
    "texts": (["contoso", ["a@private.example"] * 30], {}, "row 1: is not an object"),
    "nested": (["contoso", [[{"email": "a@private.example"}]]], {}, "row 1: is not an object"),
    "unknown field": (["contoso", [{"mail": "a@private.example"}]], {}, "did you mean email?"),
    "unknown default": (["contoso", [{"email": "a@private.example"}]], {"redirect": "x"}, "redirect_url?"),
    "one address for all": (["contoso", [{"ref": "x"}]], {"email": "a@private.example"}, "email cannot be given"),
    "bad default": (["contoso", [{"email": "a@private.example"}]], {"language": 5}, "language, given for all rows"),
    "bad key": (["contoso", [{"email": "a@private.example"}]], {"key": 5}, "key is missing or not a text"),
    "half a character as key": (["contoso", [{"email": "a@private.example"}]], {"key": "\udfff"}, "valid Unicode"),
    "newer": (["contoso", [{"email": "a@private.example"}]], {"version": 99}, "newer version"),
}


@pytest.mark.parametrize("case", REFUSED_LISTS)
def test_a_list_that_cannot_be_accepted_is_refused_in_words(usher: Usher, case: str) -> None:
    """As a whole, before any of it is sent."""
    args, kwargs, sentence = REFUSED_LISTS[case]
    said = refusal(usher.ask_with("usher.invite_guests", args, kwargs))
    assert sentence in said
    assert "private.example" not in said


# Reading, cancelling, checking


@pytest.mark.parametrize("task", ["usher.job", "usher.results", "usher.cancel"])
@pytest.mark.parametrize(
    "wanted", ["aaaaaaaaaa", "x:back", "", 5, None, "ann@private.example", "\ud800", "a" * 100_000]
)
def test_a_job_that_is_not_there_is_refused(usher: Usher, task: str, wanted: Any) -> None:
    """Also where the id is none."""
    assert "@" not in refusal(usher.ask(task, wanted))


def test_reading_tasks_refuse_what_they_do_not_know(usher: Usher) -> None:
    """The same rules for every task."""
    assert "not a field" in refusal(usher.ask("usher.job", "aaaaaaaaaa", deep=True))
    assert "Too many" in refusal(usher.ask("usher.cancel", "aaaaaaaaaa", 1))
    assert "limit must be a number, 1 or more" in refusal(usher.ask("usher.results", "aaaaaaaaaa", limit=0))
    assert "newer version" in refusal(usher.ask("usher.check", "contoso", version=7))


def test_a_connection_is_checked_from_the_worker(usher: Usher) -> None:
    """Findings are sentences; a connection that does not work is no exception."""
    works = usher.ask("usher.check", "contoso")
    assert set(works) == {"connection", "ok", "findings"}
    assert works["ok"], works
    assert all(set(finding) == {"ok", "what"} for finding in works["findings"])
    assert not usher.ask("usher.check", "locked")["ok"]
    unknown = usher.ask("usher.check", "nobody")
    assert (unknown["ok"], unknown["status"], len(unknown["findings"])) == (False, "refused", 1)
    assert 'no connection "nobody"' in unknown["errors"][0]
    assert "name of a connection" in refusal(usher.ask("usher.check", address()))


# Anything at all

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just("contoso"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_NAMES = st.sampled_from(
    [
        "connection",
        "email",
        "rows",
        "key",
        "wait_s",
        "id",
        "after",
        "limit",
        "version",
        "resend",
        "ref",
        "cc",
        "groups",
        "self",
    ]
) | st.text(max_size=12)
_TASKS = ("usher.invite_guest", "usher.invite_guests", "usher.job", "usher.results", "usher.cancel", "usher.check")


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    task=st.sampled_from(_TASKS), args=st.lists(_JSON, max_size=4), kwargs=st.dictionaries(_NAMES, _JSON, max_size=4)
)
def test_whatever_is_sent_the_result_is_a_dict(
    usher: Usher, task: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """No exception, no silence."""
    answer = usher.ask_with(task, args, kwargs)
    assert "@" not in json.dumps(answer)


_FIELD = _JSON | st.text(min_size=1, max_size=400).map(lambda text: text * 200)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"email": _FIELD},
            optional=dict.fromkeys(
                ("display_name", "cc", "groups", "sponsors", "send_message", "redirect_url", "ref"), _FIELD
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_a_row_holds_the_list_is_taken_in(usher: Usher, rows: list[dict[str, Any]]) -> None:
    """Rows are judged one by one; none of these is an address, so every one ends `failed`."""
    answer = usher.ask("usher.invite_guests", "contoso", rows)
    assert (answer["state"], answer["rows"], answer["failed"]) == ("done", len(rows), len(rows)), answer


# Messages that are not in order


def _publish(
    usher: Usher, body: bytes | str, headers: Any, content_type: str = "application/json", **more: Any
) -> None:
    encoding = more.pop("content_encoding", "utf-8")
    with usher.client.connection_for_write() as connection:
        producer = usher.client.amqp.Producer(connection, auto_declare=False)
        producer.publish(
            body, routing_key="celery", content_type=content_type, content_encoding=encoding, headers=headers, **more
        )


def _headers(task_id: str, **changes: Any) -> dict[str, Any]:
    return {"lang": "py", "task": "usher.job", "id": task_id, "argsrepr": "('hidden@mail.private.example',)", **changes}


_GOOD = json.dumps([["aaaaaaaaaa"], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])

BODIES: dict[str, str | bytes] = {
    "garbage": '{"email": "g@mail.private.example"',
    "null": "null",
    "number": "5",
    "text": '"args g@mail.private.example"',
    "object": '{"email": "g@mail.private.example"}',
    "short": '[["g@mail.private.example"]]',
    "long": "[[], {}, {}, {}]",
    "args as text": '["g@mail.private.example", {}, {}]',
    "named arguments as list": "[[], [], {}]",
    "options as text": '[[], {}, "chain"]',
    "deep": "[" * 100_000,
    "not text": b"\xff\xfe\x00g@mail.private.example",
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_task_is_refused_and_logged_once(usher: Usher, case: str) -> None:
    """The worker lives on, its log has one line without the body, and the sender an answer."""
    task_id = str(uuid.uuid4())
    _publish(usher, BODIES[case], _headers(task_id))
    refusal(usher.client.AsyncResult(task_id).get(timeout=20))
    assert usher.log().count(f"{task_id} for task usher.job is refused") == 1
    assert "status" in usher.ask("usher.job", "aaaaaaaaaa")


HEADERS: dict[str, dict[str, Any]] = {
    "a task nobody has": {"task": "usher.invite_gest"},
    "a task that is no text": {"task": ["usher.job"]},
}


@pytest.mark.parametrize("case", HEADERS)
def test_an_unknown_task_is_refused(usher: Usher, case: str) -> None:
    """With the names there are."""
    task_id = str(uuid.uuid4())
    _publish(usher, _GOOD, _headers(task_id, **HEADERS[case]))
    assert "usher.invite_guests" in refusal(usher.client.AsyncResult(task_id).get(timeout=20))


ODD_HEADERS: dict[str, Any] = {
    "time limits": {"timelimit": 5},
    "retries": {"retries": "many"},
    "expiry": {"expires": [1]},
    "group": {"group": {"a": 1}},
    "shadow": {"shadow": "shadow@mail.private.example"},
    "stamps": {"stamped_headers": 5, "stamps": 7},
    "parent": {"parent_id": 5, "root_id": []},
    "nesting": {"replaced_task_nesting": "x"},
    "another": {"x": "other@mail.private.example"},
}


@pytest.mark.parametrize("case", ODD_HEADERS)
def test_odd_headers_do_not_matter(usher: Usher, case: str) -> None:
    """What Celery would stumble over is left out, and the task runs."""
    task_id = str(uuid.uuid4())
    _publish(usher, _GOOD, _headers(task_id, **ODD_HEADERS[case]))
    assert "There is no job" in refusal(usher.client.AsyncResult(task_id).get(timeout=20))


@pytest.mark.parametrize(
    "eta", ["yesterday", "9999-99-99T00:00:00", "0001-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"]
)
def test_a_time_is_refused(usher: Usher, eta: str) -> None:
    """A worker would keep the message in its memory until then."""
    task_id = str(uuid.uuid4())
    _publish(usher, _GOOD, _headers(task_id, eta=eta))
    assert "A time (eta, countdown) is not kept here" in refusal(usher.client.AsyncResult(task_id).get(timeout=20))


_NEXT = {"task": "portal.pay", "args": ["x"], "kwargs": {}, "options": {"queue": "stolen"}, "immutable": True}


@pytest.mark.parametrize(
    "embedded",
    [{"callbacks": [_NEXT]}, {"errbacks": [_NEXT]}, {"chain": [_NEXT]}, {"chord": {**_NEXT, "chord_size": 1}}],
)
@pytest.mark.parametrize("form", ["second protocol", "first protocol"])
def test_what_a_message_embeds_is_not_sent_on(usher: Usher, embedded: dict[str, Any], form: str) -> None:
    """The worker would send any task to any queue under its own login."""
    task_id = str(uuid.uuid4())
    if form == "second protocol":
        _publish(usher, json.dumps([["aaaaaaaaaa"], {}, embedded]), _headers(task_id))
    else:
        body = {"task": "usher.job", "id": task_id, "args": ["aaaaaaaaaa"], "kwargs": {}, **embedded}
        _publish(usher, json.dumps(body), {"chain": [_NEXT]})
    refusal(usher.client.AsyncResult(task_id).get(timeout=20))
    assert "status" in usher.ask("usher.job", "aaaaaaaaaa")
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        assert not database.exists("usher:mq:stolen")


def test_a_link_of_celerys_own_is_refused(usher: Usher) -> None:
    """As a producer would write it."""
    answer = usher.ask_with("usher.job", ["aaaaaaaaaa"], {}, link=usher.client.signature("portal.pay", queue="stolen"))
    assert "Callbacks, chains, groups and chords are not run here" in refusal(answer)


@pytest.mark.parametrize("name", ["usher.scheduled", "usher.run_chunk", "usher.settle", "celery.map", "celery.chain"])
def test_a_task_that_is_not_for_producers_is_refused(usher: Usher, name: str) -> None:
    """usher's own, and Celery's built-in ones, which call others; whatever the message says of its queue."""
    task_id = str(uuid.uuid4())
    _publish(usher, json.dumps([[], {"name": "nightly", "due_ms": "x"}, {}]), _headers(task_id, task=name))
    assert "There is no task of that name" in refusal(usher.client.AsyncResult(task_id).get(timeout=20))


@pytest.mark.parametrize("compression", ["zlib", "bzip2", "xz"])
def test_a_compressed_message_is_refused_unread(usher: Usher, compression: str) -> None:
    """452 bytes may be 400 MB."""
    answer = usher.ask_with("usher.job", ["a" * 1000], {}, compression=compression)
    assert "A compressed body is not taken" in refusal(answer)


@pytest.mark.parametrize(
    "body", [b'[["' + b"x" * 5_000_000 + b'"], {}, {}]', b"[[" + b"{}," * 110_000 + b"1], {}, {}]"]
)
def test_a_message_that_is_too_large_is_refused_unread(usher: Usher, body: bytes) -> None:
    """In bytes, or in values, each of which takes many bytes once it is read."""
    task_id = str(uuid.uuid4())
    _publish(usher, body, _headers(task_id))
    assert "send its rows in several messages" in refusal(usher.client.AsyncResult(task_id).get(timeout=20))


@pytest.mark.parametrize("headers", [{}, {"task": "usher.job"}, {"task": "usher.job", "id": 5}, {"id": "x"}])
def test_a_message_with_nobody_to_answer_to_is_dropped(usher: Usher, headers: dict[str, Any]) -> None:
    """It has no id, so the log is all there is."""
    before = usher.log().count("is refused")
    _publish(usher, _GOOD, headers)
    wait_until(lambda: usher.log().count("is refused") == before + 1, 10, "a line in the log")


@pytest.mark.parametrize("kind", ["application/x-python-serialize", "application/x-yaml", "application/unheard-of"])
def test_pickle_and_yaml_are_refused_unread(usher: Usher, kind: str) -> None:
    """Only JSON is decoded; what a pickle would do never happens."""
    task_id = str(uuid.uuid4())
    trap = usher.folder / "trap"
    pickled = f"cos\nsystem\n(S'touch {trap}'\ntR.".encode()
    body = pickled if "python" in kind else f"!!python/object/apply:os.system ['touch {trap}']".encode()
    _publish(usher, body, _headers(task_id), kind)
    assert "Only JSON" in refusal(usher.client.AsyncResult(task_id).get(timeout=20))
    assert not trap.exists()


def test_a_client_that_pickles_gets_an_answer(usher: Usher) -> None:
    """Celery's own pickle serializer, as an old client has it."""
    client = Celery("old", broker=usher.broker_url, backend=usher.broker_url, set_as_current=False)
    client.conf.update(
        task_serializer="pickle",
        broker_transport_options={"global_keyprefix": "usher:mq:"},
        result_backend_transport_options={"global_keyprefix": "usher:res:"},
    )
    result = client.send_task("usher.invite_guest", ["contoso", address()])
    assert "Only JSON" in refusal(result.get(timeout=20))
    client.close()


def test_the_first_protocol_is_understood(usher: Usher) -> None:
    """Clients in other languages still speak it: everything in the body."""
    task_id = str(uuid.uuid4())
    body = {"task": "usher.invite_guest", "id": task_id, "args": ["contoso", address()], "kwargs": {"wait_s": 20}}
    _publish(usher, json.dumps(body), {})
    answer = usher.client.AsyncResult(task_id).get(timeout=30)
    assert answer["status"] == "invited"
    changes: list[dict[str, Any]] = [
        {"args": "x"},
        {"kwargs": []},
        {"id": 5},
        {"timelimit": 5},
        {"retries": "x"},
        {"task": "x"},
    ]
    before = usher.log().count("is refused")
    for change in changes:
        _publish(usher, json.dumps({**body, "id": str(uuid.uuid4()), **change}), {})
    wait_until(lambda: usher.log().count("is refused") == before + len(changes), 10, "a line in the log for each")


PAGE = (ROOT / "docs" / "producers.md").read_text(encoding="utf-8")


def test_a_message_without_celery_is_understood(usher: Usher) -> None:
    """The one that docs/producers.md shows, pushed by hand; the answer lies where the page says."""
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    message, task_id = json.loads(block), str(uuid.uuid4())
    args, kwargs, options = json.loads(base64.b64decode(message["body"]))
    body = json.dumps([args, {**kwargs, "email": address()}, options])
    message["body"] = base64.b64encode(body.encode()).decode()
    message["headers"]["id"] = message["properties"]["delivery_tag"] = task_id
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        database.lpush("usher:mq:celery", json.dumps(message))
        told = wait_until(lambda: database.get(f"usher:res:celery-task-meta-{task_id}"), 15, "an answer")
    assert json.loads(told)["result"]["status"] == "invited"


_FROM_NODE = (
    '{"body":"%s","content-type":"application/json","content-encoding":"utf-8","headers":{"lang":"js","task":"usher.invite_guest",'
    '"id":"%s"},"properties":{"body_encoding":"base64","delivery_info":{"exchange":"","routing_key":"celery"},"delivery_mode":2,'
    '"delivery_tag":"a86b3558-f701-4be5-8138-57c1add9622f","correlationId":"%s","replyTo":""}}'
)
"""As celery-node 0.5.9 pushed it, recorded from a run with a real worker; the body and the id vary."""


def test_a_message_of_celery_node_is_understood(usher: Usher) -> None:
    """Under the prefixes that the page sets; the answer lies where that client looks, as plain JSON."""
    node = re.findall(r'keyPrefix: "([^"]+)"', PAGE)
    assert node == ["usher:mq:", "usher:res:"]
    task_id = f"portal-{uuid.uuid4()}"
    body = json.dumps([[], {"connection": "contoso", "email": address(), "wait_s": 20}, {}])
    message = _FROM_NODE % (base64.b64encode(body.encode()).decode(), task_id, task_id)
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        database.lpush(f"{node[0]}celery", message)
        told = wait_until(lambda: database.get(f"{node[1]}celery-task-meta-{task_id}"), 15, "an answer")
    meta = json.loads(told)
    assert (meta["status"], meta["result"]["status"]) == ("SUCCESS", "invited")


@pytest.mark.parametrize(
    "junk", ["junk", "{}", "[1]", '{"headers": [1], "body": "x", "properties": {"delivery_info": {}}}']
)
def test_what_is_no_message_at_all_is_dropped(usher: Usher, junk: str) -> None:
    """Somebody pushed it to the queue by hand: a line in the log, and the worker goes on."""
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        database.lpush("usher:mq:celery", junk)
    assert usher.ask("usher.invite_guest", "contoso", address())["status"] == "invited"
    assert "the queue celery held something that is no message" in usher.log()
    assert "Connection to broker lost" not in usher.log()


def test_a_producer_needs_no_access_to_the_ledger(usher: Usher) -> None:
    """A Redis user with the rights that docs/producers.md names gets its outcome, and can read no job, nor another's result."""
    (rule,) = re.findall(r"`ACL SETUSER (\S+) on >… (.+?)`", PAGE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        database.config_set("port", port)
        execute: Any = database.execute_command
        execute("ACL", "SETUSER", rule[0], "reset", "on", ">word", *rule[1].split())
    url = f"redis://{rule[0]}:word@127.0.0.1:{port}/0"
    client = Celery("restricted", broker=url, backend=url, set_as_current=False)
    client.conf.update(
        broker_transport_options={"global_keyprefix": "usher:mq:"},
        result_backend_transport_options={"global_keyprefix": "usher:res:"},
    )
    sent = client.send_task("usher.invite_guest", ["contoso", address()], task_id=f"{rule[0]}-{uuid.uuid4()}")
    answer = sent.get(timeout=30)
    assert answer["status"] == "invited"
    refused: list[tuple[str, ...]] = [
        ("HGETALL", f"usher:job:{answer['job']}"),
        ("GET", f"usher:res:celery-task-meta-{uuid.uuid4()}"),
        ("DEL", "usher:mq:celery"),
        ("SCAN", "0"),
        ("EVAL", "return 1", "0"),
    ]
    with contextlib.closing(redis.Redis.from_url(url)) as restricted:
        execute = restricted.execute_command
        for command in refused:
            with pytest.raises(redis.exceptions.NoPermissionError):
                execute(*command)
    client.close()


# What nobody may find anywhere


def _values(database: Any, key: bytes) -> list[bytes]:
    match database.type(key):
        case b"string":
            return [database.get(key) or b""]
        case b"hash":
            return [part for pair in database.hgetall(key).items() for part in pair]
        case b"list":
            return list(database.lrange(key, 0, -1))
        case b"set":
            return list(database.smembers(key))
        case b"zset":
            return list(database.zrange(key, 0, -1))
        case _:
            return []


def _dump(database: Any, prefix: str = "", without: tuple[str, ...] = ()) -> bytes:
    """Every key and value in Redis whose name begins with `prefix`, as bytes."""
    found: list[bytes] = []
    for key in database.scan_iter(f"{prefix}*", count=1000):
        if key.decode(errors="replace").startswith(without or ("\0",)):
            continue
        found += [key, *_values(database, key)]
    return b"\n".join(found)


def test_inspecting_shows_no_arguments(usher: Usher) -> None:
    """`celery inspect active` and Flower's worker page ask the worker itself."""
    email = address("inspected")
    result = usher.client.send_task("usher.invite_guest", ["locked", email], {"wait_s": 5})
    wait_until(lambda: f"[{result.id}] received" in usher.log(), 10, "the message taken in")
    told = json.dumps(
        [
            usher.client.control.inspect(timeout=1).active(),
            usher.client.control.inspect(timeout=1).query_task(result.id),
        ]
    )
    assert result.id in told
    assert email not in told
    result.get(timeout=30)


def test_events_carry_no_arguments(usher: Usher) -> None:
    """What Flower is fed: received, started and succeeded, without anybody in them."""
    email, seen, sent = address("event"), list[dict[str, Any]](), list[str]()
    with usher.client.connection_for_read() as connection:
        receiver = usher.client.events.Receiver(connection, handlers={"*": seen.append})

        def stop(event: dict[str, Any]) -> None:
            seen.append(event)
            receiver.should_stop = event.get("uuid") in sent and event["type"] == "task-succeeded"

        def begin(event: dict[str, Any]) -> None:
            seen.append(event)
            if not sent:  # the worker's first heartbeat: this queue is bound, nothing is missed from here on
                sent.append(usher.client.send_task("usher.invite_guest", ["contoso", email]).id)

        receiver.handlers.update({"task-succeeded": stop, "worker-heartbeat": begin})
        receiver.capture(limit=None, timeout=20, wakeup=True)
    assert {"task-received", "task-started", "task-succeeded"} <= {event["type"] for event in seen}
    assert "private.example" not in json.dumps(seen, default=str)


def test_no_address_secret_token_or_link_is_anywhere_but_in_the_ledger(usher: Usher) -> None:
    """The worker's whole log at DEBUG, every answer, and every key in Redis besides jobs and chunks. Runs last in this module."""
    guest = address("last")
    assert usher.ask("usher.invite_guest", "contoso", guest)["status"] == "invited"
    mail = usher.sandbox.ask(f"mails?address={guest}")[0]
    ticket = re.search(r"ticket=([^&]+)", mail["redeem_url"])
    assert ticket
    database = redis.Redis.from_url(usher.redis_url)
    try:
        everything = _dump(database)
        outside = _dump(database, without=("usher:chunk:", "usher:job:"))
    finally:
        database.close()
    places = {
        "the log": usher.log().encode(),
        "the answers": json.dumps(usher.answers).encode(),
        "Redis outside jobs and chunks": outside,
    }
    for place, text in places.items():
        for secret in (
            "private.example",
            usher.sandbox.secret,
            "no-such-secret-7f3a",
            "eyJ0eXAi",
            ticket[1],
            "redeem?",
        ):
            found = text.find(secret.encode())
            assert found < 0, f"{secret} in {place}: {text[max(0, found - 300) : found + 100]!r}"
    for secret in (usher.sandbox.secret, "no-such-secret-7f3a", "eyJ0eXAi", ticket[1]):
        assert secret.encode() not in everything, f"{secret} in clear in Redis"
