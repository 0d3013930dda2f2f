"""What a task may say when it fails, and what values say of themselves: never an address, a link or
a token.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from celery.exceptions import Reject

from config.secrets import Secret
from tasks.rows.row import validate_record
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.users import By, Question
from worker.ledger.chunk_contents import ChunkContents
from worker.ledger.loading import Loading
from worker.ledger.model import Lane, Lease, Options, Outcome, RowState, Ticket
from worker.process.requests import TaskFailed
from worker.signin.credentials import AccessToken

EMAIL = "ann@mail.private.example"
LINK = "https://login.example/redeem?ticket=t1cket"


@pytest.fixture
def app() -> Iterator[Celery]:
    """An application of its own with our kind of task."""
    made = Celery("t", task_cls="worker.process.requests:PrivateTask", broker="memory://", set_as_current=False)
    yield made
    made.close()


def test_an_unknown_error_of_a_task_loses_its_text(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    """Log, event and result name the kind of error and the place; the text, which may hold an
    address, stays out.
    """

    def look_up() -> None:
        found: dict[str, str] = {}
        try:
            found[EMAIL]
        except KeyError as missing:
            raise ValueError(f"no {EMAIL}") from missing

    @app.task(name="t.fails")
    def fails() -> None:
        look_up()

    told: Any = build_tracer("t.fails", fails, app=app)("an-id", (), {}, {"id": "an-id", "called_directly": False})
    text = caplog.text + repr(told.retval) + str(told.retval) + str(told)
    assert "private.example" not in text
    assert "ValueError" in text
    assert "in look_up" in caplog.text


def test_what_celery_is_told_passes(app: Celery) -> None:
    """Reject puts a message back; it is no failure."""

    @app.task(name="t.rejects")
    def rejects() -> None:
        raise Reject("Redis is away", requeue=True)

    fails: Any = rejects
    fails.push_request(called_directly=False)
    with pytest.raises(Reject):
        fails()
    fails.pop_request()


def test_a_failed_task_can_be_carried_between_processes() -> None:
    """Celery may pickle what a task raised."""
    assert str(pickle.loads(pickle.dumps(TaskFailed("A fault.")))) == "A fault."  # noqa: S301 - our own bytes


def test_no_value_shows_whom_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    """A repr in a log or a traceback is harmless, whatever prints it."""
    row = {"email": EMAIL, "display_name": "Ann Private"}
    outcome = Outcome(0, RowState.DONE, redeem_url=LINK)
    loading = Loading("j", "contoso", Lane.BULK)
    loading.put(row)
    now = datetime.now(UTC)
    secret = Secret("eyJ-a-token")
    values = [
        validate_record(row, 1),
        validate_record({"email": "ann@mail.private.example, bob@mail.private.example"}, 1),
        GraphRequest("1", "GET", f"/users?$filter=mail eq '{EMAIL}'", {"invitedUserEmailAddress": EMAIL}),
        GraphAnswer(Fate.ANSWERED, 201, {}, {"inviteRedeemUrl": LINK, "mail": EMAIL}),
        Question(By.MAIL, (EMAIL,)),
        Lease(Ticket("j", 0, 1, "contoso", Lane.BULK), ".", "0", [row], 1, Options(), 0, 1),
        ChunkContents(1, [row], ".", "0", [outcome]),
        outcome,
        loading,
        secret,
        AccessToken(secret, now + timedelta(hours=1), frozenset(), "abc", now),
    ]
    for value in values:
        logging.getLogger("t").warning("%r %s", value, value)
    assert len(caplog.records) == len(values)
    for word in ("private.example", "Private", "t1cket", "eyJ-a-token"):
        assert word not in caplog.text
