"""Fixtures of the whole suite."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import start_valkey, stop_valkey

if TYPE_CHECKING:
    from tests.sites import OwnValkey

# How long an example takes is the machine's business, which runs several files of tests at once.
settings.register_profile("usher", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("usher")


def pytest_configure() -> None:
    """Let what tests start get Ctrl-C and the end of a terminal, also where the tests run in the background or under nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # which, unlike being ignored, is not handed on


@pytest.fixture(scope="session", autouse=True)
def _nobodys_state() -> Iterator[None]:
    """Whatever a test starts without saying where, it is not the account's own private stack, and no configuration is the account's."""
    folder = tempfile.mkdtemp(prefix="us-", dir="/tmp")
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("USHER_")}
    os.environ["USHER_STATE_DIR"] = folder
    yield
    del os.environ["USHER_STATE_DIR"]
    os.environ.update(kept)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A Valkey that the run shares: whoever uses it keeps to a prefix of its own."""
    folder = Path(tempfile.mkdtemp(prefix="uv-", dir="/tmp"))
    process, url = start_valkey(folder)
    yield url
    stop_valkey(process)
    shutil.rmtree(folder)


@pytest.fixture
def own_valkey() -> Iterator[OwnValkey]:
    """A server for this test alone, with an append-only file; the test may break it."""
    from tests.sites import OwnValkey  # not for every unit test: it loads Celery

    server = OwnValkey.begin()
    yield server
    server.end()
