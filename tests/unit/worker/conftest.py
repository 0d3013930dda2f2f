"""Shared by the tests of the worker's parts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers import Certificate
    from tests.signins import Entra


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path short enough for a socket in it; pytest's own may be too long."""
    path = Path(tempfile.mkdtemp(prefix="ut-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def signin_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """What the sign-in services of the tests show."""
    from tests.servers import make_certificate  # not for every test here

    return make_certificate(tmp_path_factory.mktemp("tls"), "localhost", "login.usher.test")


@pytest.fixture
async def entra(
    signin_certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Entra]:
    """Run a sign-in service, with a connection to it whose secret is the text "right"."""
    from tests.signins import run_entra

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    secret = tmp_path / "secret"
    secret.write_text("right\n")
    async with run_entra(signin_certificate, secret) as entra:
        yield entra
