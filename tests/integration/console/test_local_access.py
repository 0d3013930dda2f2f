"""A console without a configured sign-in, asked over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from config.sections import LedgerSection
from config.settings import Settings
from tests.integration.console.servers import build_access_app, serving
from tests.ledgers import Desk
from worker.ledger.audit.account import find_person
from worker.ledger.programs.token_need import TokenNeed
from worker.services import open_services


@pytest.fixture
async def client(desk: Desk, valkey_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that keeps its cookies, at a console on loopback."""
    settings = Settings(ledger=LedgerSection(prefix=desk.keys.prefix))
    async with (
        open_services(lambda: settings, valkey_url) as services,
        serving(build_access_app(services.settings, services)) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as opened,
    ):
        yield opened


def _origin(client: httpx.AsyncClient) -> dict[str, str]:
    return {"Origin": str(client.base_url).rstrip("/")}


async def test_whoever_uses_this_machine_is_one_operator(client: httpx.AsyncClient) -> None:
    """The page says so, and the audit trail names the account that runs the console."""
    told = (await client.get("/")).json()
    assert told["local"] is True
    assert told["name"] == find_person().name
    answer = await client.post("/change", data={"csrf_token": told["token"]}, headers=_origin(client))
    assert answer.json() == {"acting": str(find_person())}


async def test_a_program_on_this_machine_needs_no_token(client: httpx.AsyncClient) -> None:
    """curl has no cookie that a foreign page could use."""
    assert (await client.post("/v1/change")).status_code == 200


async def test_where_there_was_a_producer_it_does(client: httpx.AsyncClient, desk: Desk) -> None:
    """Though none is configured any more, until somebody says that programs need none."""
    need = TokenNeed(desk.client, desk.keys)
    await need.note()
    assert (await client.post("/v1/change")).status_code == 401
    assert await need.waive()
    assert (await client.post("/v1/change")).status_code == 200


@pytest.mark.parametrize("path", ["/change", "/v1/change"])
async def test_no_other_page_changes_anything(client: httpx.AsyncClient, path: str) -> None:
    """CSRF: a page of another site sends a form here, with or without the cookie's token."""
    token = (await client.get("/")).json()["token"]
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await client.post(path, data={"csrf_token": token}, headers=headers)
        assert answer.status_code == 403
        assert "nothing was done" in answer.json()["detail"]


@pytest.mark.parametrize("given", [None, "", "x" * 64, "ß"])
async def test_a_form_brings_the_token_of_its_own_page(client: httpx.AsyncClient, given: str | None) -> None:
    """Our own origin alone is not enough: another program may answer on it by and by."""
    await client.get("/")
    data = {} if given is None else {"csrf_token": given}
    assert (await client.post("/change", data=data, headers=_origin(client))).status_code == 403


async def test_a_token_belongs_to_one_browser(client: httpx.AsyncClient) -> None:
    """What one browser was shown is worth nothing in another."""
    token = (await client.get("/")).json()["token"]
    async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as other:
        await other.get("/")
        answer = await other.post("/change", headers={"X-CSRF-Token": token, **_origin(client)})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "127.0.0.1.rebound.example"},
        {"Host": "[::1"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
    ],
)
async def test_what_only_looks_like_this_machine_is_refused(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Names that resolve to loopback, and proxies that speak for others."""
    answer = await client.get("/", headers=headers)
    assert answer.status_code == 403
    assert "No sign-in is configured" in answer.json()["detail"]
    assert (await client.post("/v1/change", headers=headers)).status_code == 403
    assert (await client.get("/healthz", headers=headers)).status_code == 200


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    """No inline script, no frame around it, no guessing of types; and its cookie is for HTTP
    alone.
    """
    for path, status in (("/", 200), ("/nowhere", 404)):
        answer = await client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    cookie = (await client.get("/", headers={"Cookie": ""})).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/" in cookie
