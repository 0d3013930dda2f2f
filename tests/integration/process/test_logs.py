"""A real worker's log, line by line: JSON, with the job, chunk, connection and request where they
are known.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import wait_until
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher

ROWS = 250
"""Three chunks."""


def _tables(ready: dict[str, Any]) -> str:
    return connection_table("contoso", ready, precheck="false")


def _lines(usher: Usher) -> list[dict[str, Any]]:
    return [json.loads(line) for line in usher.log().splitlines()]


@pytest.fixture(scope="module")
def worked() -> Iterator[tuple[Usher, str]]:
    """A worker at INFO that was throttled, did a job, met a fault of usher, and was stopped."""
    folder = Path(tempfile.mkdtemp(prefix="log-", dir="/tmp"))
    try:
        options = ("--quota", "off", "--replication", "0")
        with run_usher(folder, "-l", "INFO", sandbox_options=options, tables=_tables) as usher:
            faults = [{"fault": "429", "on": ["item"], "times": 3, "retry_after": "1"}]
            usher.sandbox.ask("faults", {"faults": faults})
            rows = [{"email": f"g{n}@mail.example"} for n in range(ROWS)]
            job = usher.ask("usher.invite_guests", "contoso", rows)["job"]
            assert usher.finished(job)["invited"] == ROWS
            usher.client.send_task(
                "usher.run_chunk", ["j", "x", "contoso"], {"fence": 1, "lane": "bulk"}, queue="usher.bulk"
            )
            wait_until(lambda: "A fault of usher" in usher.log(), 20, "a failed task")
            usher.stop_worker()
            yield usher, job
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_every_line_is_an_object(worked: tuple[Usher, str]) -> None:
    """Celery's and kombu's too, its warnings and its words at the end among them; the start-up
    banner is left out.
    """
    usher, _ = worked
    lines = _lines(usher)
    assert all({"timestamp", "level", "event", "logger"} <= set(line) for line in lines)
    loggers = {line["logger"].partition(".")[0] for line in lines}
    assert {"worker", "celery"} <= loggers
    assert any("Warm shutdown" in line["event"] for line in lines)
    assert [line["timestamp"] for line in lines if line["logger"].startswith("worker")] == sorted(
        line["timestamp"] for line in lines if line["logger"].startswith("worker")
    )


def test_a_chunk_is_one_line(worked: tuple[Usher, str]) -> None:
    """Its counts add up to the job; no line for a row, and none of Celery's for a message."""
    usher, job = worked
    told = [line for line in _lines(usher) if line.get("job") == job and "counts" in line]
    assert {line["chunk"] for line in told} == {1, 2, 3}
    assert sum(line["counts"].get("invited", 0) for line in told) == ROWS
    for line in told:
        assert (line["connection"], line["chunks"], line["level"]) == ("contoso", 3, "info")
        assert line["task_id"]
    for chunk in (1, 2, 3):
        *before, last = [line["event"] for line in told if line["chunk"] == chunk]
        assert all(" waits " in event for event in before)
        assert " waits " not in last
    assert any("; the rest waits because Microsoft throttles (429), next try in " in line["event"] for line in told)
    assert not [line for line in _lines(usher) if " received" in line["event"] or " succeeded" in line["event"]]
    assert len(_lines(usher)) < 40


def test_trouble_names_its_request(worked: tuple[Usher, str]) -> None:
    """What Microsoft's support asks for is on the line, beside the place it happened in."""
    usher, job = worked
    told = [line for line in _lines(usher) if "throttled by Microsoft" in line["event"]]
    assert told
    for line in told:
        assert (line["job"], line["connection"], line["level"]) == (job, "contoso", "warning")
        assert line["request_id"]
        assert line["client_request_id"]


def test_a_failed_task_is_one_line_with_its_traceback(worked: tuple[Usher, str]) -> None:
    """Celery logs it; the line says which task."""
    usher, _ = worked
    failed = [line for line in _lines(usher) if line["level"] == "error" and "exception" in line]
    assert failed
    assert failed[0]["task_id"]
    assert "Traceback" in failed[0]["exception"]
