"""Programs bring a token of `[producers.NAME]`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from config.reader import load_settings
from console.access.tries import MOST
from tests.configs import CONTOSO
from tests.integration.console.servers import build_access_app, serving
from tests.ledgers import Desk
from worker.services import open_services

HR, NEXT = "hr-" + "h" * 40, "hr-" + "n" * 40
WRONG = "wrong-" + "w" * 40
TABLE = '[producers.hr]\ntoken = ["file:hr", "file:hr-next"]\nconnections = "contoso"\n'


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def client(desk: Desk, valkey_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A program at a console that knows one producer."""
    (tmp_path / "hr").write_text(HR)
    (tmp_path / "usher.toml").write_text(f'[ledger]\nprefix = "{desk.keys.prefix}"\n{CONTOSO}{TABLE}')
    async with (
        open_services(lambda: load_settings({}, tmp_path / "usher.toml"), valkey_url) as services,
        serving(build_access_app(services.settings, services)) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as opened,
    ):
        yield opened


async def test_a_token_makes_a_producer(client: httpx.AsyncClient) -> None:
    """It submits, and the audit trail names it; a form's token is asked of browsers alone."""
    told = (await client.get("/v1/who", headers=_bearer(HR))).json()
    assert told == {"actor": "producer hr", "role": "submit", "kind": "producer", "acting": "producer hr"}
    answer = await client.post("/v1/change", headers=_bearer(HR) | {"Origin": "https://elsewhere.example"})
    assert answer.json() == {"acting": "producer hr"}
    answer = await client.post("/v1/operate", headers=_bearer(HR))
    assert answer.status_code == 403
    assert "needs the role operate, and producer hr has submit" in answer.json()["detail"]


async def test_a_token_is_rolled_over_without_a_restart(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """Both open, until the old one is taken away."""
    assert (await client.get("/v1/who", headers=_bearer(NEXT))).status_code == 401
    (tmp_path / "hr-next").write_text(NEXT)
    assert [(await client.get("/v1/who", headers=_bearer(token))).status_code for token in (HR, NEXT)] == [200, 200]
    (tmp_path / "hr").unlink()
    assert [(await client.get("/v1/who", headers=_bearer(token))).status_code for token in (HR, NEXT)] == [401, 200]


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {WRONG}",
        f"Bearer {HR[:-1]}",
        f"Bearer {HR}{HR}",
        f"Basic {HR}",
        f"{HR}",
        "Bearer",
        "Bearer " + "x" * 20_000,
        "Bearer eyJhbGciOiJub25lIn0.e30.",
    ],
)
async def test_what_opens_nothing_is_told_in_the_same_words(client: httpx.AsyncClient, header: str) -> None:
    """Neither answer nor header repeats what was sent."""
    answer = await client.get("/v1/who", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="usher", error="invalid_')
    assert HR[:-1] not in answer.text + str(answer.headers)
    assert WRONG not in answer.text + str(answer.headers)


async def test_once_there_is_a_producer_no_program_comes_without_a_token(client: httpx.AsyncClient) -> None:
    """On this machine too; its pages still serve whoever uses it, and so does what they ask for."""
    answer = await client.post("/v1/change")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="usher"'
    assert (await client.get("/v1/who")).status_code == 401
    token = (await client.get("/")).json()["token"]
    headers = {"X-CSRF-Token": token, "Origin": str(client.base_url).rstrip("/")}
    assert (await client.post("/v1/change", headers=headers)).status_code == 200


async def test_a_wrong_token_is_not_saved_by_a_page(client: httpx.AsyncClient) -> None:
    """What brings a token is judged by it alone, and pages are not for programs: they show all
    jobs.
    """
    await client.get("/")
    assert (await client.get("/v1/who", headers=_bearer(WRONG))).status_code == 401
    for token in (WRONG, HR):
        assert (await client.get("/jobs", headers=_bearer(token))).status_code == 403
        assert (await client.post("/change", headers=_bearer(token))).status_code == 403
        for host in ("x/v1/?", "127.0.0.1/v1/#", "x/static/?"):  # the Host does not choose the path
            assert (await client.get("/jobs", headers=_bearer(token) | {"Host": host})).status_code in (400, 403)


async def test_an_address_that_guesses_is_not_listened_to(client: httpx.AsyncClient, desk: Desk) -> None:
    """Whoever was right before, from the same address, stays right; the wrong tokens are in no
    key of Redis.
    """
    assert (await client.get("/v1/who", headers=_bearer(HR))).status_code == 200
    for number in range(MOST):
        assert (await client.get("/v1/who", headers=_bearer(f"{WRONG}{number}"))).status_code == 401
    answer = await client.get("/v1/who", headers=_bearer(f"{WRONG}-more"))
    assert answer.status_code == 429
    assert re.fullmatch(r"[1-9]\d?", answer.headers["retry-after"])
    assert (await client.get("/v1/who", headers=_bearer(HR))).status_code == 200
    found = [key async for key in desk.client.scan_iter(f"{desk.keys.prefix}:console:*")]
    assert found == [desk.keys.console("refused:127.0.0.1").encode()]
    assert 0 < await desk.client.ttl(found[0]) <= 60
