"""Fixtures of the tests of what speaks to Graph."""

from __future__ import annotations

import pytest

from tests.servers import Certificate, make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return what the servers of these tests show."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "localhost", "127.0.0.1", "graph.usher.test")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxies are none of the tests' business."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
