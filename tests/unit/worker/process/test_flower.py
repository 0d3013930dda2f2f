"""Flower's defaults, what it refuses, and how a chunk reads there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flower.views.monitor import Metrics
from tornado.options import OptionParser

from worker.process import flower as pages
from worker.process.flower_options import NotStarted


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Flower's own options as they stand before anything is given, in a place of their own."""
    from flower.options import options as theirs

    made = OptionParser()
    for name, option in theirs._options.items():
        if name != "help" and hasattr(theirs, name) and not hasattr(made, name):
            made.define(name, default=option.default, type=option.type, multiple=option.multiple)
    monkeypatch.setenv("USHER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(pages, "_close_metrics", lambda: None)
    monkeypatch.setattr(
        "worker.process.process_settings.find_process_settings", lambda: SimpleNamespace(broker_url="redis://h:1/0")
    )
    umask = os.umask(0o022)
    yield made
    os.umask(umask)


def test_unless_told_otherwise_it_is_closed(options: Any, tmp_path: Path) -> None:
    """This machine only, nothing can be done, tasks are kept in a folder of this user."""
    pages.prepare(options)
    assert (options.address, options.read_only, options.persistent) == ("127.0.0.1", True, True)
    folder = Path(options.db).parent
    assert folder.is_relative_to(tmp_path / "state")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert options.state_save_interval == pages.SAVE_EVERY_MS


def test_a_worker_that_is_gone_leaves_the_list_within_an_hour(options: Any) -> None:
    """Else the page shows for a day what nobody can do anything about."""
    pages.prepare(options)
    assert 0 < options.purge_offline_workers <= 3600


def test_what_was_given_wins(options: Any, tmp_path: Path) -> None:
    """Even what is less safe, where it was said in so many words."""
    options.read_only = False
    options.tasks_columns = "name"
    options.max_tasks = 5
    options.db = str(tmp_path / "own")
    options.state_save_interval = 7
    pages.prepare(options)
    assert (options.read_only, options.tasks_columns, options.max_tasks) == (False, "name", 5)
    assert (options.db, options.state_save_interval) == (str(tmp_path / "own"), 7)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.7", "flower.example.com"])
def test_beyond_this_machine_a_login_is_insisted_on(options: Any, address: str) -> None:
    """One sentence: what would happen, what to do."""
    options.address = address
    with pytest.raises(NotStarted, match="FLOWER_BASIC_AUTH=NAME:PASSWORD"):
        pages.prepare(options)
    options.basic_auth = ["usher:secret"]
    pages.prepare(options)
    assert options.address == address


@pytest.mark.parametrize("login", ["", "usher", "usher:", ":secret"])
def test_half_a_login_is_none(options: Any, login: str) -> None:
    """An empty secret must not open the pages; what it was is not repeated."""
    options.basic_auth = ["a:b", login]
    with pytest.raises(NotStarted) as refused:
        pages.prepare(options)
    assert "secret" not in str(refused.value)


def test_a_proxy_without_a_login_is_told_of(options: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It may ask for one itself: that is not refused."""
    options.url_prefix = "usher"
    pages.prepare(options)
    assert "shows its pages to everybody" in caplog.text


def test_a_store_that_cannot_be_written_is_said(options: Any, tmp_path: Path) -> None:
    """A given one stops the start."""
    options.db = str(tmp_path / "nowhere" / "tasks")
    with pytest.raises(NotStarted, match="--db"):
        pages.prepare(options)


def test_without_a_store_it_goes_on(options: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that nobody asked for does not."""
    (tmp_path / "state").write_text("a file where the folder would be")
    pages.prepare(options)
    assert options.persistent is False
    assert "forgets its tasks" in caplog.text


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (
            "{'job': 'j', 'chunk': 1, 'connection': 'c', 'chunks': 2, 'invited': 98, 'failed': 2}",
            "2 failed, 98 invited",
        ),
        ("{'job': 'j', 'chunk': 1, 'connection': 'c', 'chunks': 2}", "nothing was left to send"),
        (
            "{'job': 'j', 'chunk': 1, 'connection': 'c', 'chunks': 2, 'rest': 'waits for quota, next try in 1.4 s'}",
            "nothing sent yet; it waits for quota, next try in 1.4 s",
        ),
        (
            "{'job': 'j', 'chunk': 1, 'connection': 'c', 'chunks': 9, 'invited': 280, 'runs': 3}",
            "280 invited in 3 chunks",
        ),
        ("{'connection': 'c'}", "nothing was due"),
        ("{'connection': 'c', 'to_be_sent_again': 3}", "3 to be sent again"),
        ("{'job': 'j', 'chunk': 1, 'connection': 'c', 'not_run': 'it is void'}", "not run: it is void"),
        ("{'job': 'j', 'chu...", "{'job': 'j', 'chu..."),
        ("12", "12"),
    ],
)
def test_a_chunk_reads_as_words(result: str, shown: str) -> None:
    """Its counts; whatever is not ours stays as it is."""
    assert pages.describe_counts(result) == shown


def test_other_tasks_are_left_alone() -> None:
    """Only usher's own have counts."""
    task = SimpleNamespace(name="usher.job", result="{'invited': 1}")
    assert pages.format_task(task).result == "{'invited': 1}"
    assert pages.format_task(SimpleNamespace(name="usher.settle", result="{'invited': 1}")).result == "1 invited"


def test_flowers_metrics_handler_is_where_it_is_closed() -> None:
    """A new Flower may move it."""
    assert callable(Metrics.get)
