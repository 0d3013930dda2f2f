"""docs/producers.md says what the code takes and gives: every task, argument, field, key and limit,
and no other.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.reader import load_settings
from tasks.messages.invite import MOST_ROWS, MOST_WAIT_S
from tasks.messages.queries import MOST_RESULTS
from tasks.messages.refusals import TAKES, WIRE_VERSION
from tasks.messages.views import describe_job, public_record
from tasks.rows.field_rules import (
    MAX_COMPANY,
    MAX_DEPARTMENT,
    MAX_DISPLAY_NAME,
    MAX_GROUPS,
    MAX_JOB_TITLE,
    MAX_MESSAGE,
    MAX_NAME_PART,
    MAX_PHONE,
    MAX_REF,
    MAX_SPONSORS,
    MAX_TEAMS,
    MAX_URL,
)
from tasks.rows.fields import FIELDS, RESULT_COLUMNS, stage_columns
from tasks.rows.mail_syntax import MAX_LENGTH
from worker.app import app, build_settings
from worker.directory.forecast import foresee
from worker.graph.users import DirectoryUser
from worker.ledger.gates import Gate
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, JobState, KnownRow, Lane, Options
from worker.operations.foreseen import Seen
from worker.operations.invite_precheck import judge
from worker.operations.operation import Asked
from worker.operations.registry import find_operation
from worker.operations.tenant_rules import TenantRules
from worker.process.process_settings import ProcessSettings

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/producers.md").read_text(encoding="utf-8")
INTERNAL = {"usher.run_chunk", "usher.settle", "usher.scheduled"}


def test_what_a_producer_learns_of_a_guest_is_told() -> None:
    """Every verdict that rests on who is in the tenant, by a result or a dry run."""
    user = DirectoryUser("id", None, member=False, enabled=True)
    users = [user, replace(user, pending=True), replace(user, enabled=False), replace(user, member=True)]
    found = {judge(Asked(0, {}, one), one).code for one in users}
    known = KnownRow(0, 0, "j")
    rules, address = TenantRules(deleted={"a@b.example": "2026-01-01"}), "a@b.example"
    for seen in (*(Seen(user=one) for one in users), Seen(known=known), Seen()):
        for prechecked in (False, True):
            told = foresee(find_operation("invite"), {}, address, seen, rules, Options(), prechecked=prechecked)
            found |= {told.code} - {""}
    assert set(_rows(_section("What a producer learns of a tenant"))) == found


def _section(title: str) -> str:
    """The text below a heading, up to the next of its rank or above."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |^#{{1,2}} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match, title
    return match[2]


def _rows(text: str) -> dict[str, list[str]]:
    """The rows of a section's tables by the word in their first column."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    return {cells[0].strip("`"): cells[1:] for cells in lines}


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at the app's tasks configures it; with a URL it needs no private server for that."""
    monkeypatch.setenv("USHER_REDIS_URL", "redis://127.0.0.1:9/0")


def test_every_task_is_on_the_page_and_no_other() -> None:
    """Names are stable; a task that is not on the page is nobody's."""
    import tasks.messages.internal
    import tasks.messages.invite
    import tasks.messages.queries  # noqa: F401 - registered with the app

    there = {name for name in app.tasks if name.startswith("usher.")} - INTERNAL
    assert set(re.findall(r"^### (usher\.\w+)$", PAGE, re.MULTILINE)) == there == set(TAKES)


@pytest.mark.parametrize("task", TAKES)
def test_arguments_stand_in_their_order(task: str) -> None:
    """Positions are those of the code; what goes by name is marked."""
    rows = _rows(_section(task))
    positional = tuple(name for name, cells in rows.items() if cells[0] != "—")
    assert positional == TAKES[task]
    assert [rows[name][0] for name in positional] == [str(number) for number in range(1, len(positional) + 1)]
    by_name = {"version"} | ({"resend"} if "invite" in task else set())
    by_name |= {"notify"} if task == "usher.invite_guests" else set()
    assert set(rows) - set(positional) == by_name


def test_fields_and_limits_are_those_of_the_code() -> None:
    """A row's fields in their order, each with its limit."""
    rows = _rows(_section("Fields of a row"))
    assert tuple(rows) == FIELDS
    limits = {
        "email": MAX_LENGTH,
        "display_name": MAX_DISPLAY_NAME,
        "first_name": MAX_NAME_PART,
        "last_name": MAX_NAME_PART,
        "redirect_url": MAX_URL,
        "message": MAX_MESSAGE,
        "company": MAX_COMPANY,
        "department": MAX_DEPARTMENT,
        "job_title": MAX_JOB_TITLE,
        "phone": MAX_PHONE,
        "sponsors": MAX_SPONSORS,
        "groups": MAX_GROUPS,
        "teams": MAX_TEAMS,
        "ref": MAX_REF,
    }
    for name, limit in limits.items():
        assert re.search(rf"\b{limit:,}\b", rows[name][1]), name
    assert f"up to {MOST_ROWS:,} rows a message" in PAGE
    assert f"number, 0 to {MOST_WAIT_S:.0f}, default 30" in PAGE
    assert f"number, 1 to {MOST_RESULTS:,}, default 500" in PAGE
    assert f"the contract, version {WIRE_VERSION};" in PAGE


def test_keys_of_results_are_those_of_the_code() -> None:
    """Of a row: the results file's columns without the private ones; of a job: `--json` without the
    clock's.
    """
    row, job = _section("What comes back").split("Of a job:")
    columns = (*RESULT_COLUMNS, *stage_columns(["groups"]))
    assert set(_rows(row)) == set(public_record(dict.fromkeys(columns, "")))
    view = JobView(
        *(
            "aaaaaaaaaa",
            "contoso",
            Lane.BULK,
            JobState.DONE,
            "",
            Counts(),
            1,
            0,
            datetime.now(UTC),
            None,
            Options(),
            {},
            Gate(),
        ),
        stages={"groups": Counts()},
    )
    assert set(_rows(job)) == {*describe_job(view), "created_at"}
    told = describe_job(view)["stages"]["groups"]
    assert set(re.findall(r"`(\w+)`", _rows(job)["stages"][0])) == set(told)
    states = set(re.findall(r"`(\w+)`", _rows(job)["state"][0]))
    assert states == {state.value for state in JobState}


def test_a_sponsors_address_stays_within() -> None:
    """Why a stage failed may name a sponsor as the list does."""
    record = {"sponsors_error": "There is no sponsor “eva@contoso.example” in this tenant."}
    assert public_record(record) == {"sponsors_error": "There is no sponsor “***@contoso.example” in this tenant."}


def test_prefixes_and_queue_are_those_of_the_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A client configured as the page says reaches the worker."""
    monkeypatch.chdir(tmp_path)
    present = load_settings({"USHER_REDIS_URL": "redis://localhost"})
    told: dict[str, Any] = build_settings(ProcessSettings(lambda: present, "redis://h", "redis://h", "redis://h"))
    prefixes = re.findall(r'(\w*transport_options) = {"global_keyprefix": "([^"]+)"}', PAGE)
    assert {name: told[name]["global_keyprefix"] for name, _ in prefixes} == dict(prefixes)
    assert len(prefixes) == 2
    assert told["task_default_queue"] == "celery"


def test_examples_are_what_they_say() -> None:
    """Python compiles; the message without Celery holds the body that is shown beside it."""
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        compile(block, "docs/producers.md", "exec")
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    body = base64.b64decode(json.loads(block)["body"])
    assert f"`{body.decode()}`" in PAGE.replace("\n", " ")


def test_this_project_has_the_tasks_at_hand() -> None:
    """`from tasks import invite_guest, invite_guests`, loaded only then."""
    import tasks

    assert {tasks.invite_guest.name, tasks.invite_guests.name} == {"usher.invite_guest", "usher.invite_guests"}
    with pytest.raises(AttributeError):
        tasks.invite_nobody  # noqa: B018
