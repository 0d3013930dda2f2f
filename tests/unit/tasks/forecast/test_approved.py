"""What an approval is bound to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from config.reader import parse_connection
from tasks.forecast.approved import MATTERS, describe_approved
from worker.ledger.gates import Gate
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, JobState, Lane, Options

TABLE = {"tenant_id": "contoso.example", "client_id": "c", "client_secret": "env:SECRET"}
WOULD = {"invite": 1, "skip": 1, "refuse": 0}
VIEW = JobView(
    id="j1",
    connection="contoso",
    lane=Lane.BULK,
    state=JobState.HELD,
    why="",
    counts=Counts(rows=2, pending=2),
    chunks=1,
    open=0,
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
    finished_at=None,
    options=Options(),
    info={"sha256": "a" * 64},
    gate=Gate(),
)


def digest(view: JobView = VIEW, would: dict[str, int] | None = None, **table: Any) -> str:
    """The digest of a job on a connection."""
    connection = parse_connection("contoso", {**TABLE, **table})
    return str(describe_approved(view, connection, WOULD if would is None else would)["digest"])


@pytest.mark.parametrize(
    "other",
    [
        digest(replace(VIEW, info={"sha256": "b" * 64})),
        digest(replace(VIEW, options=Options(resend=True))),
        digest(replace(VIEW, counts=Counts(rows=3, pending=3))),
        digest(replace(VIEW, operation="groups")),
        digest(replace(VIEW, id="j2")),
        digest(would={**WOULD, "refuse": 1}),
        digest(would={}),
        digest(redirect_url="https://elsewhere.example"),
        digest(client_id="d"),
        digest(blocked_domains=["a.example"]),
    ],
)
def test_whatever_was_looked_at_is_in_the_digest(other: str) -> None:
    """List, options, rows, operation, the connection's settings, the verdicts."""
    assert other != digest()


def test_a_new_credential_is_the_same_connection() -> None:
    """It is replaced now and then, and changes nothing of what is sent to whom."""
    assert digest(client_secret="env:OTHER", ca_file="/other.pem") == digest()
    assert set(MATTERS) <= set(type(parse_connection("contoso", TABLE)).model_fields)


def test_a_connection_that_is_not_known_here_is_left_out() -> None:
    """Whoever approves may have no configuration of it."""
    assert set(describe_approved(VIEW, None, {})) == {"digest", "rows"}
