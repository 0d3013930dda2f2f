"""What producers ask for by name and in JSON: guests, lists, jobs, results; a real worker, and
clients that know nothing of usher.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from tasks.scheduled.context import Context
from tests.integration.producers.wire import address, dump, refusal
from tests.processes import wait_until
from tests.ushers import Usher

COUNTS = ("invited", "already_guest", "skipped", "failed", "in_doubt", "pending", "cancelled")


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


def test_what_follows_the_invitation_is_asked_for_and_told(usher: Usher) -> None:
    """Groups by name, for a row or for all; an address in why one failed does not travel."""
    rows = [{"email": address("in"), "company": "Fabrikam"}, {"email": address("out"), "groups": "who@contoso.example"}]
    job = usher.ask("usher.invite_guests", "contoso", rows, groups=["Partners"])["job"]
    wait_until(lambda: usher.ask("usher.job", job)["state"] == "done", 60, "the end of the job and its stages")
    stages = usher.ask("usher.job", job)["stages"]
    assert (stages["groups"]["rows"], stages["groups"]["done"], stages["groups"]["failed"]) == (2, 1, 1)
    assert stages["profile"]["done"] == 1
    first, second = usher.ask("usher.results", job)["rows"]
    assert (first["groups_status"], first["profile_status"], second["profile_status"]) == ("done", "done", "")
    assert second["groups_status"] == "failed"
    assert "***@contoso.example" in second["groups_error"]
    assert "who@" not in second["groups_error"]
    members = usher.sandbox.ask("groups?name=Partners")[0]["members"]
    assert rows[0]["email"] in members
    assert rows[1]["email"] not in members


def test_the_same_task_id_twice_is_the_same_job(usher: Usher) -> None:
    """A producer that is not sure sends the same message again; nobody is mailed twice."""
    email, task_id = address(), str(uuid.uuid4())
    first = usher.ask_with("usher.invite_guest", ["contoso", email], {}, task_id=task_id)
    usher.client.AsyncResult(task_id).forget()
    second = usher.ask_with("usher.invite_guest", ["contoso", email], {}, task_id=task_id)
    assert first == second
    assert usher.sandbox.ask(f"guests?address={email}")[0]["mails"] == 1


def test_what_cannot_be_sent_now_is_pending_and_says_why(usher: Usher) -> None:
    """A wrong secret holds the connection; the row waits in its job, its message has left the
    broker, and it can be cancelled.
    """
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
    """The message is acknowledged as soon as the ledger has the row. (A busy machine may need
    longer to see that than the guest is waited for: then once more.)
    """
    for wait_s in (4, 16, 60):
        email = address("early")
        result = usher.client.send_task("usher.invite_guest", ["locked", email], {"wait_s": wait_s})
        with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
            wait_until(lambda: f"[{result.id}] received" in usher.log(), 10, "the message taken in")  # noqa: B023
            wait_until(lambda: email.encode() not in dump(database, "usher:mq:"), 10, "an empty broker")  # noqa: B023
        was_waited_for = not result.ready()
        assert result.get(timeout=90)["status"] == "pending"
        if was_waited_for:
            return
    raise AssertionError("the message left the broker only with the answer")


def test_a_wait_of_nothing_answers_at_once(usher: Usher) -> None:
    """`wait_s=0`: the row is accepted, and goes on by itself."""
    email = address()
    answer = usher.ask("usher.invite_guest", "contoso", email, wait_s=0)
    assert answer["status"] == "pending"
    assert usher.finished(answer["job"])["invited"] == 1


def test_an_unreachable_microsoft_leaves_the_row_pending(usher: Usher) -> None:
    """Nothing left, so nothing is in doubt; its `why` says what is the matter, not that it waits
    for its turn.
    """
    answer = usher.ask("usher.invite_guest", "away", address(), wait_s=5)
    assert answer["status"] == "pending"
    assert "reached" in answer["why"], answer
    usher.ask("usher.cancel", answer["job"])


def test_an_option_that_is_null_is_one_that_is_not_there(usher: Usher) -> None:
    """Clients of other languages name every argument, and send null for what they leave out."""
    nulls = dict.fromkeys(("wait_s", "resend", "version", "display_name", "groups"))
    assert usher.ask("usher.invite_guest", "contoso", address("null"), **nulls)["status"] == "invited"
    nulls = dict.fromkeys(("key", "resend", "version", "notify"))
    assert usher.ask("usher.invite_guests", "contoso", [{"email": address("nulls")}], **nulls)["rows"] == 1


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
    """Whatever the task id: a nightly producer names its run and may send it as often as it
    likes.
    """
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
    """A text that is one's key or time is another's task id, another connection's, another
    sender's: each is a job of its own.
    """
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
    """Who sends stands before the UUID of the task id; the same key of somebody else is a job of
    theirs, and told to them alone.
    """
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
