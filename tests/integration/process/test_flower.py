"""Flower as it is run: with a login, read-only, under a prefix behind a proxy, its tasks kept; seen
in a real browser and asked over its API.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.sections import QuotaSection
from config.values import Limit
from tests.browser import open_browser
from tests.integration.process.flowers import LOGIN, PREFIX, Seen, run_flower, run_proxy
from tests.processes import CELERY, wait_until
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher

ROWS = 2000
QUICK = {"USHER_LEDGER__SETTLE_S": "8", "USHER_GRAPH__TIMEOUT_S": "5"}
"""So that rows in doubt are settled soon."""
_ROWS = "return [...document.querySelectorAll('#tasks-table tbody tr')].map(row => row.innerText)"
MARK = "private.example"
"""Every address ends so."""


def _tables(ready: dict[str, Any]) -> str:
    # After a 429 what is left of a limit is taken to be spent: with the real ones this would take
    # two minutes.
    limits = "\n".join(f'{name} = "100000/1s"' for name, value in QuotaSection() if isinstance(value, Limit))
    return f"[quota]\n{limits}\n{connection_table('contoso', ready)}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """A worker that sends no events until Flower asks for them, and Flower."""
    folder = Path(tempfile.mkdtemp(prefix="flo-", dir="/tmp"))
    port = _free_port()
    try:
        options = ("--quota", "off", "--replication", "0")
        with (
            run_usher(
                folder, "-l", "INFO", "-c", "8", sandbox_options=options, tables=_tables, more_env=QUICK
            ) as usher,
            run_flower(usher, port),
            run_proxy(port) as place,
        ):
            seen = Seen(usher, place, port)
            seen.await_events()
            yield seen
            usher.client.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(seen: Seen) -> Iterator[Any]:
    """Logged in as a person would be."""
    with open_browser(seen.usher.folder / "profile") as browser:
        browser.get(f"http://{LOGIN}@{seen.place}/")
        yield browser


def _text(browser: Any) -> str:
    """What a person reads on the page."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.common.by import By

    try:
        return str(browser.find_element(By.TAG_NAME, "body").text)
    except StaleElementReferenceException:  # drawn anew this very moment
        return ""


def _line(browser: Any, seen: Seen, *words: str) -> str:
    """Return the line of the table of tasks that has all the words, as it stands after a new look;
    the page does not look by itself.
    """
    browser.get(f"http://{seen.place}/tasks")
    rows = wait_until(lambda: browser.execute_script(_ROWS), 20, "the table of tasks")
    return next((row for row in rows if all(word in row for word in words)), "")


@contextlib.contextmanager
def _cli(usher: Usher, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command, its output in `cli.out` and `cli.err`."""
    argv = [sys.executable, "-P", "-m", "cli", *arguments]
    with (usher.folder / "cli.out").open("wb") as out, (usher.folder / "cli.err").open("wb") as err:
        process = subprocess.Popen(argv, env=usher.env, cwd=usher.folder, stdout=out, stderr=err)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _last_object(usher: Usher) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((usher.folder / "cli.out").read_text().splitlines()[-1])
    return told


def test_a_job_with_faults_is_watched(seen: Seen, browser: Any) -> None:
    """2,000 rows: chunks at work in the browser, the same job in `jobs watch`; at the end the
    counts in Flower are the ledger's.
    """
    usher = seen.usher
    usher.sandbox.ask("latency", {"latency": "0.1"})
    faults = [
        {"fault": "429", "on": ["item", "invite"], "every": 40, "times": 5, "retry_after": "1"},
        {"fault": "504-after", "on": ["item", "invite"], "every": 90, "times": 4},
        {
            "fault": "error",
            "on": ["item", "invite"],
            "every": 150,
            "times": 6,
            "status": 400,
            "code": "BadRequest",
            "message": "No.",
        },
    ]
    usher.sandbox.ask("faults", {"faults": faults})
    listed = usher.folder / "list.csv"
    listed.write_text("email\n" + "".join(f"f{n}@mail.{MARK}\n" for n in range(ROWS)), encoding="utf-8")
    with _cli(usher, "invite", str(listed), "-c", "contoso", "--detach", "--json") as sent:
        sent.wait(60)
    job = _last_object(usher)["job"]
    with _cli(usher, "jobs", "watch", job, "--json") as watch:
        started = wait_until(lambda: _line(browser, seen, "STARTED", job), 30, "a chunk at work")
        watch.wait(90)
    told = _last_object(usher)
    assert re.search(rf"\(job {job}, chunk \d+ of 20, contoso\)", started)
    usher.sandbox.ask("faults", {"faults": []})
    assert told["state"] == "done"
    assert told["rows"] == ROWS == told["invited"] + told["failed"] + told["already_guest"]

    def counts() -> Counter[str]:
        found: Counter[str] = Counter()
        status, body = seen.ask("api/tasks?limit=10000")
        for task in json.loads(body).values():
            args = task["args"] or ""  # of one that was under way when Flower began to listen only the end is known
            mine = f"(job {job}, " in args or task["name"] == "usher.settle"
            if mine and task["result"]:
                result = ast.literal_eval(task["result"])
                found.update({word: n for word, n in result.items() if word in ("invited", "failed", "already_guest")})
        assert status == 200
        return found

    wanted = Counter({word: told[word] for word in ("invited", "failed", "already_guest") if told[word]})
    wait_until(lambda: counts() == wanted, 60, f"{wanted} in Flower")


def test_a_chunk_shows_its_place_and_its_counts(seen: Seen, browser: Any) -> None:
    """The task's own page, its words for people; the API has the same as data."""
    job = seen.usher.ask("usher.invite_guests", "contoso", [{"email": f"c{n}@mail.{MARK}"} for n in range(120)])["job"]
    seen.usher.finished(job)

    def invited() -> list[dict[str, Any]]:
        done = [ast.literal_eval(task["result"]) for task in seen.tasks(job) if task["state"] == "SUCCESS"]
        return done if sum(result.get("invited", 0) for result in done) == 120 else []

    wait_until(invited, 20, "120 guests in the results")
    task = next(t for t in seen.tasks(job) if "chunk 1 of 2" in t["args"] and "'invited': " in t["result"])
    browser.get(f"http://{seen.place}/task/{task['uuid']}")
    page = wait_until(lambda: _text(browser), 20, "the task's page")
    assert f"(job {job}, chunk 1 of 2, contoso)" in page
    assert f"{ast.literal_eval(task['result'])['invited']} invited" in page
    for hidden in (MARK, "redeem"):
        assert hidden not in browser.page_source


def test_the_workers_are_there(seen: Seen, browser: Any) -> None:
    """The first page; a worker's own with its pool and its queues."""
    browser.get(f"http://{seen.place}/workers")
    status, body = seen.ask("workers?json=1")
    name = json.loads(body)["data"][0]["hostname"]
    page = wait_until(lambda: next((t for t in [_text(browser)] if name in t), ""), 20, "the worker's line")
    assert status == 200
    assert "ONLINE" in page.upper()
    browser.get(f"http://{seen.place}/worker/{name}")
    wait_until(lambda: "usher.bulk" in browser.page_source, 20, "the worker's queues")


def test_a_failed_task_shows_its_place_and_nobody(seen: Seen, browser: Any) -> None:
    """A fault of usher, with its traceback; the text of the error, which may name a guest, is not
    shown.
    """
    usher = seen.usher
    usher.client.send_task(
        "usher.run_chunk",
        ["j", f"ann@mail.{MARK}", "contoso"],
        {"fence": 1, "lane": "bulk"},
        queue="usher.bulk",
        argsrepr="(job j, chunk ? of ?, contoso)",
    )
    failed = wait_until(
        lambda: [t for t in json.loads(seen.ask("api/tasks?limit=10000")[1]).values() if t["state"] == "FAILURE"],
        20,
        "a failed task",
    )
    assert "usher.run_chunk" in wait_until(lambda: _line(browser, seen, "FAILURE"), 20, "the failed task's line")
    browser.get(f"http://{seen.place}/task/{failed[0]['uuid']}")
    page = wait_until(lambda: _text(browser), 20, "the task's page")
    assert "A fault of usher (" in page
    assert "Traceback" in page
    assert MARK not in browser.page_source


@pytest.mark.parametrize("path", ["", "tasks", "workers", "broker", "metrics", "api/tasks", "api/workers", "task/x"])
def test_nothing_is_shown_without_the_login(seen: Seen, path: str) -> None:
    """Through the proxy or past it; `/metrics`, which Flower leaves open, among it."""
    for direct in (False, True):
        assert seen.ask(path, login="", direct=direct)[0] == 401
        assert seen.ask(path, login="usher:guess", direct=direct)[0] == 401
    assert seen.ask("metrics")[0] == 200
    assert seen.ask("healthcheck", login="") == (200, b"OK")


def test_nothing_can_be_done_from_it(seen: Seen) -> None:
    """Read-only: also for whoever has the login."""
    name = json.loads(seen.ask("workers?json=1")[1])["data"][0]["hostname"]
    for path in (f"api/worker/shutdown/{name}", "api/task/revoke/x", "api/task/async-apply/usher.cancel"):
        assert seen.ask(path, method="POST", direct=True)[0] == 403


def test_its_lines_are_usher_s(seen: Seen) -> None:
    """JSON where nobody reads along, without the login."""
    lines = [json.loads(line) for line in (seen.usher.folder / "flower-state.log").read_text().splitlines()]
    assert any("Visit me at" in line["event"] for line in lines)
    assert "let-me-in" not in json.dumps(lines)


def test_beyond_this_machine_it_refuses_without_a_login(seen: Seen) -> None:
    """One sentence and status 2, however it is started."""
    env = {**seen.usher.env, "PATH": os.environ["PATH"]}
    for argv in (
        (*CELERY, "flower", "--address=0.0.0.0"),
        (sys.executable, "-P", "-m", "cli", "flower", "--address=::"),
    ):
        done = subprocess.run(
            (*argv, f"--port={_free_port()}"),
            env=env,
            cwd=seen.usher.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2, done.stderr
        assert "so it is not started: set FLOWER_BASIC_AUTH=NAME:PASSWORD" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_taken_port_is_one_sentence(seen: Seen) -> None:
    """Flower alone would end in a traceback, every time that it is started again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = {**seen.usher.env, "PATH": os.environ["PATH"]}
        argv = (*CELERY, "flower", f"--port={port}")
        done = subprocess.run(argv, env=env, cwd=seen.usher.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert f"Flower cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "variable", "said"),
    [
        ("--port=abc", "", "Flower does not take its options (invalid literal"),
        ("--adress=::1", "", 'Flower has no option "--adress" (did you mean address?)'),
        ("--auto_refresh=false", "abc", "Flower does not take its options (invalid literal"),
    ],
)
def test_a_bad_option_is_one_sentence(seen: Seen, given: str, variable: str, said: str) -> None:
    """However Flower is started; its own parser would end in a traceback, or drop what it does not
    know.
    """
    env = {**seen.usher.env, "PATH": os.environ["PATH"], **({"FLOWER_PORT": variable} if variable else {})}
    for argv in ((*CELERY, "flower"), (sys.executable, "-P", "-m", "cli", "flower", "--")):
        done = subprocess.run(
            (*argv, given), env=env, cwd=seen.usher.folder, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"usher: {said}")
        assert not done.stdout


def test_its_tasks_outlive_it(seen: Seen) -> None:
    """A Flower that is stopped and started again knows what it saw before."""
    usher, port = seen.usher, _free_port()
    again = Seen(usher, f"127.0.0.1:{port}/{PREFIX}", port)
    with run_flower(usher, port, "again") as process:
        again.await_events()
        job = usher.ask("usher.invite_guests", "contoso", [{"email": f"p{n}@mail.{MARK}"} for n in range(5)])["job"]
        wait_until(lambda: [t for t in again.tasks(job) if t["state"] == "SUCCESS"], 20, "the job's chunk")
        process.terminate()
        assert process.wait(60) == 0
    with run_flower(usher, port, "again"):
        assert [task["state"] for task in again.tasks(job)] == ["SUCCESS"]
    assert MARK.encode() not in b"".join(path.read_bytes() for path in (usher.folder / "again" / "flower").iterdir())
