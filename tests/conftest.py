"""Fixtures of the whole suite."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.sandboxes import Sandbox, Sandboxes
from tests.servers import start_valkey, stop_valkey

if TYPE_CHECKING:  # they load Celery, which not every unit test needs
    from tests.clocked import Clocked
    from tests.sites import OwnValkey, Site

# How long an example takes is the machine's business, which runs several files of tests at once.
settings.register_profile("usher", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("usher")


def pytest_configure() -> None:
    """Let what tests start get Ctrl-C and the end of a terminal, also where the tests run in the
    background or under nohup.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # which, unlike being ignored, is not handed on


_TOGETHER = {"tests/integration/cli", "tests/integration/producers", "tests/integration/sandbox"}
"""Folders whose tests share what is dear to start: a private stack, a worker, a sandbox of their
own.
"""


def _folder_of(nodeid: str) -> str:
    return nodeid.partition("::")[0].rpartition("/")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests and the folders that take minutes by themselves, so that no process is
    left with one at the end.
    """
    items.sort(key=lambda item: "_machine.py" not in item.nodeid and _folder_of(item.nodeid) not in _TOGETHER)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the files of such a folder in one process, as `--dist loadfile` keeps the tests of a
    file.
    """
    from xdist.scheduler import LoadFileScheduling

    class LoadFolders(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            folder = _folder_of(file)
            return folder if folder in _TOGETHER else file

    return LoadFolders(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def _nobodys_state() -> Iterator[None]:
    """Whatever a test starts without saying where, it is not the account's own private stack, and
    no configuration is the account's.
    """
    folder = tempfile.mkdtemp(prefix="us-", dir="/tmp")
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("USHER_")}
    os.environ["USHER_STATE_DIR"] = folder
    yield
    del os.environ["USHER_STATE_DIR"]
    os.environ.update(kept)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def one_day() -> None:
    """The test is over before the day is, UTC: in a day's last minute it waits for the next one."""
    left_s = 86_400 - time.time() % 86_400
    if left_s < 60:
        time.sleep(left_s)


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
    from tests.sites import OwnValkey

    server = OwnValkey.begin()
    yield server
    server.end()


def _told(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what a test says of its site: by a parameter, by the nearest `sandbox` marker, by
    those further away.
    """
    told: dict[str, Any] = dict(getattr(request, "param", {}))
    for marker in request.node.iter_markers("sandbox"):
        told = marker.kwargs | told
    told.pop("options", None)
    return told


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[Sandboxes]:
    """The sandboxes that the run shares."""
    with ExitStack() as stack:
        yield Sandboxes(stack)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, sandboxes: Sandboxes) -> Sandbox:
    """The shared sandbox without quota, or one with the `options` of the test's marker."""
    for marker in request.node.iter_markers("sandbox"):
        if "options" in marker.kwargs:
            return sandboxes.get(marker.kwargs["options"])
    return sandboxes.get()


@pytest.fixture
async def site(request: pytest.FixtureRequest, valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place to work in, as the `sandbox` marker says, on the Redis that the run shares, which no
    test may break.
    """
    from tests.sites import open_site

    async with open_site(valkey_url, sandbox, **_told(request)) as site:
        yield site


@pytest.fixture
async def own_site(request: pytest.FixtureRequest, own_valkey: OwnValkey, sandbox: Sandbox) -> AsyncIterator[Site]:
    """The same on a server of the test's own."""
    from tests.sites import open_site

    async with open_site(own_valkey.url, sandbox, **_told(request)) as site:
        yield site


@pytest.fixture
async def clocked(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clocked]:
    """A worker's parts in this process, on a Redis whose clock the test moves."""
    from tests.clocked import open_clocked

    async with open_clocked(site, monkeypatch) as clocked:
        yield clocked
