"""The sign-in and its sessions, attacked over HTTPS."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace

import httpx
import pytest

from tests.integration.console.conftest import SignInSite
from tests.integration.console.entra_browsers import EntraBrowser
from tests.integration.console.servers import build_access_app, serving
from worker.store.client import open_client

SESSION, FLOW = "__Host-usher-session", "__Host-usher-signin"


def _cookies(answer: httpx.Response) -> dict[str, str]:
    return {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}


async def _is_out(browser: EntraBrowser) -> bool:
    return (await browser.site.get("/")).status_code == 303


async def test_cookies_are_for_this_host_and_tls_alone(signing: SignInSite) -> None:
    """No script reads them, no other site makes a browser send the session's with a form."""
    browser = signing.browser()
    begun = await browser.site.get("/signin")
    flow = _cookies(begun)[FLOW]
    assert all(word in flow for word in ("HttpOnly", "Secure", "SameSite=None", "Path=/", "Max-Age=600"))
    assert "Domain" not in flow
    answer = await browser.bring(await browser.choose(begun.headers["location"], "ada@"))
    cookies = _cookies(answer)
    session = cookies[SESSION]
    assert all(word in session for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"))
    assert "Domain" not in session
    assert "Max-Age" not in session
    assert "Max-Age=0" in cookies[FLOW]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["cache-control"] == "no-store"


async def test_what_lies_in_redis_opens_nothing(signing: SignInSite) -> None:
    """Neither the session's id nor its person can be read there."""
    browser = signing.browser()
    await browser.sign_in()
    name = browser.site.cookies[SESSION]
    keys = [key async for key in signing.services.client.scan_iter(f"{signing.services.keys.prefix}:console:*")]
    assert len(keys) == 1
    assert name.encode() not in keys[0]
    blob = await signing.services.client.get(keys[0])
    assert blob
    assert b"Ada" not in blob
    other = signing.browser()
    other.put(SESSION, keys[0].decode().rpartition(":")[2])
    assert await _is_out(other)


async def test_an_answer_counts_once(signing: SignInSite) -> None:
    """Whoever finds one in a history, or sends it again, gets nothing."""
    browser = signing.browser()
    told = await browser.choose(await browser.begin(), "ada@")
    flow = browser.site.cookies[FLOW]
    assert (await browser.bring(told)).status_code == 303
    browser.put(FLOW, flow)
    again = await browser.bring(told)
    assert again.status_code == 400
    assert "set-cookie" not in again.headers or SESSION not in _cookies(again)


async def test_nobody_is_signed_in_as_somebody_else_unasked(signing: SignInSite) -> None:
    """Login CSRF: an answer from the attacker's sign-in is posted by the victim's browser, which
    has begun none, or another.
    """
    attacker, victim = signing.browser(), signing.browser()
    told = await attacker.choose(await attacker.begin(), "grace@")
    assert (await victim.bring(told)).status_code == 400
    own = await victim.choose(await victim.begin(), "ada@")
    assert (await victim.bring(told)).status_code == 400
    assert await _is_out(victim)
    place = await victim.begin()  # the code of one, the state of the other: PKCE
    state = (await victim.choose(place, "ada@"))["state"]
    answer = await victim.bring({**told, "state": state})
    assert answer.status_code == 400
    assert "sign in again" in answer.json()["detail"]
    assert await _is_out(victim)
    assert own["code"] not in answer.text


async def test_a_session_that_somebody_chose_is_not_used(signing: SignInSite) -> None:
    """Session fixation: the id is new with each sign-in, and the old one ends."""
    browser = signing.browser()
    browser.put(SESSION, "a" * 43)
    await browser.sign_in()
    first = browser.site.cookies[SESSION]
    assert first != "a" * 43
    begun = await browser.begin_again()
    await browser.bring(await browser.choose(begun, "grace@"))
    assert browser.site.cookies[SESSION] != first
    other = signing.browser()
    for stale in ("a" * 43, first):
        other.put(SESSION, stale)
        assert await _is_out(other)


async def test_a_stolen_session_ends_with_the_sign_out(signing: SignInSite) -> None:
    """The server forgets it, and not the browser alone."""
    browser, thief = signing.browser(), signing.browser()
    await browser.sign_in()
    thief.put(SESSION, browser.site.cookies[SESSION])
    assert not await _is_out(thief)
    answer = await browser.post("/signout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signedout")
    assert "Max-Age=0" in _cookies(answer)[SESSION]
    assert (await browser.site.get("/signedout")).status_code == 200
    assert await _is_out(thief)
    assert await _is_out(browser)


async def test_signing_out_needs_our_own_page(signing: SignInSite) -> None:
    """Nor can another site sign somebody out."""
    browser = signing.browser()
    await browser.sign_in()
    assert (await browser.site.post("/signout", headers={"Origin": "https://evil.example"})).status_code == 403
    assert (await browser.site.post("/signout", headers=browser.origin)).status_code == 403
    assert not await _is_out(browser)


@pytest.mark.parametrize("path", ["/change", "/v1/change"])
async def test_another_site_changes_nothing_with_a_session(signing: SignInSite, path: str) -> None:
    """CSRF: the cookie alone does not do, whatever the browser says of the page it was on."""
    browser = signing.browser()
    await browser.sign_in()
    token = (await browser.site.get("/")).json()["token"]
    evil = {"Origin": "https://evil.example"}
    for headers, data in (
        (evil, {"csrf_token": token}),
        ({"Sec-Fetch-Site": "same-site"}, {"csrf_token": token}),
        (browser.origin, {}),
        (browser.origin, {"csrf_token": token[:-1] + ("1" if token[-1] == "0" else "0")}),
        ({}, {}),
    ):
        assert (await browser.site.post(path, data=data, headers=headers)).status_code == 403
    assert (await browser.site.post(path, headers={**browser.origin, "X-CSRF-Token": token})).status_code == 200


async def test_a_session_ends_when_nobody_uses_it_and_at_the_latest_after_hours(
    signing: SignInSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use lets it go on, up to its absolute end."""
    browser = signing.browser()
    await browser.sign_in()
    client, prefix = signing.services.client, signing.services.keys.prefix
    (key,) = [key async for key in client.scan_iter(f"{prefix}:console:session:*")]
    await client.expire(key, 10)
    assert not await _is_out(browser)
    assert 3500 < await client.ttl(key) <= 3600
    now_s = time.time()
    monkeypatch.setattr("console.access.sessions.time", SimpleNamespace(time=lambda: now_s + 12 * 3600 - 60))
    assert not await _is_out(browser)
    assert 0 < await client.ttl(key) <= 60
    monkeypatch.setattr("console.access.sessions.time", SimpleNamespace(time=lambda: now_s + 12 * 3600 + 1))
    assert await _is_out(browser)
    assert not await client.exists(key)


async def test_an_idle_session_is_gone(signing: SignInSite) -> None:
    """Redis itself forgets it."""
    browser = signing.browser()
    await browser.sign_in()
    client, prefix = signing.services.client, signing.services.keys.prefix
    async for key in client.scan_iter(f"{prefix}:console:session:*"):
        await client.pexpire(key, 1)
    while [key async for key in client.scan_iter(f"{prefix}:console:session:*")]:
        pass
    assert await _is_out(browser)


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "\\\\evil.example",
        "/%0d%0aSet-Cookie:x",
        "javascript:alert(1)",
        "/x\r\nLocation: https://evil.example",
        "",
        "/" * 3 + "evil.example",
        "https:evil.example",
        "/" + "x" * 3000,
    ],
)
async def test_nobody_is_led_elsewhere(signing: SignInSite, to: str) -> None:
    """Open redirect, and header injection by the way."""
    browser = signing.browser()
    answer = await browser.sign_in(to=to)
    place = answer.headers["location"]
    assert answer.status_code == 303
    assert place == "/" or place == "/%0d%0aSet-Cookie:x"
    assert list(_cookies(answer)) == [FLOW, SESSION]


async def test_whoever_has_no_role_is_not_signed_in(signing: SignInSite) -> None:
    """The sentence says who can change that; what is no role of usher is none."""
    for roles in ([], ["admin"], ["Operate"]):
        signing.sandbox.ask("signin", {"action": "roles", "address": "ada@contoso.example", "roles": roles})
        browser = signing.browser()
        answer = await browser.sign_in()
        assert answer.status_code == 403
        assert "Ada Lovelace has no role here" in answer.json()["detail"]
        assert SESSION not in _cookies(answer)
        assert await _is_out(browser)


@pytest.mark.parametrize(
    ("address", "role", "changes", "operates"),
    [
        ("margaret@partner.example", "view", 403, 403),
        ("linus@partner.example", "submit", 200, 403),
        ("grace@contoso.example", "approve", 200, 403),
        ("ada@contoso.example", "operate", 200, 200),
    ],
)
async def test_a_role_is_what_one_may_do(
    signing: SignInSite, address: str, role: str, changes: int, operates: int
) -> None:
    """Guests may have one too."""
    browser = signing.browser()
    await browser.sign_in(address)
    assert (await browser.site.get("/")).json()["role"] == role
    assert (await browser.post("/change")).status_code == changes
    assert (await browser.post("/operate")).status_code == operates


async def test_a_cancelled_sign_in_is_a_sentence(signing: SignInSite) -> None:
    """And what an answer of Entra says is not repeated."""
    browser = signing.browser()
    await browser.begin()
    told = {"error": "access_denied", "error_description": "<script>alert(1)</script>", "state": "x"}
    answer = await browser.bring(told)
    assert (answer.status_code, answer.json()["detail"]) == (400, "The sign-in was cancelled.")
    await browser.begin()
    answer = await browser.bring({"error": "server_error\r\nx", "error_description": "<script>", "state": "x"})
    assert answer.status_code == 400
    assert "script" not in answer.text


async def test_a_flood_in_the_callback_is_not_read(signing: SignInSite) -> None:
    """Nobody has to be signed in to post there."""
    browser = signing.browser()
    assert (await browser.bring({"code": "x" * 100_000})).status_code == 413


async def test_several_instances_share_sessions(signing: SignInSite) -> None:
    """A sign-in that was begun at one ends at another."""
    async with serving(build_access_app(signing.services.settings, signing.services)) as other:
        browser = signing.browser()
        await browser.sign_in()
        cookie = {"Cookie": f"{SESSION}={browser.site.cookies[SESSION]}"}
        async with httpx.AsyncClient(base_url=other, headers=cookie, timeout=60) as client:
            assert (await client.get("/v1/who")).json()["actor"].startswith("Ada Lovelace (")


async def test_who_may_come_is_asked_anew_with_each_request(signing: SignInSite) -> None:
    """A tenant that is taken out of the configuration is out at once."""
    browser = signing.browser()
    await browser.sign_in()
    tenant = signing.sandbox.ready["tenant_id"]
    signing.config.write_text(signing.config.read_text().replace(tenant, "00000000-0000-4000-8000-000000000001"))
    assert await _is_out(browser)


async def test_a_rolled_credential_signs_in(signing: SignInSite, caplog: pytest.LogCaptureFixture) -> None:
    """The first of the list is refused, the second does."""
    wrong = signing.config.parent / "wrong"
    wrong.write_text("no-such-secret")
    secret = signing.sandbox.ready["console"]["client_secret_file"]
    text = signing.config.read_text().replace(f'"file:{secret}"', f'["file:wrong", "file:{secret}"]')
    signing.config.write_text(text)
    browser = signing.browser()
    assert (await browser.sign_in()).status_code == 303
    signing.config.write_text(text.replace(f', "file:{secret}"', ""))
    answer = await signing.browser().sign_in()
    assert answer.status_code == 503
    assert "Entra refuses the console itself" in answer.json()["detail"]
    assert "The client secret was refused" in caplog.text
    assert "no-such-secret" not in answer.text + caplog.text


async def test_an_entra_that_is_away_is_a_sentence(signing: SignInSite) -> None:
    """Nobody waits, and nothing of the way is shown."""
    authority = signing.sandbox.ready["console"]["authority"]
    signing.config.write_text(signing.config.read_text().replace(authority, "https://127.0.0.1:9"))
    answer = await signing.browser().site.get("/signin")
    assert answer.status_code == 503
    assert "Entra's sign-in service cannot be reached" in answer.json()["detail"]


async def test_a_redis_that_is_away_is_a_sentence(signing: SignInSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is taken for a stranger, nor let in."""
    browser = signing.browser()
    await browser.sign_in()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    away = open_client(f"redis://127.0.0.1:{port}/0", timeout_s=0.2)
    monkeypatch.setattr(signing.app.state.access.sessions, "_client", away)
    for path in ("/", "/v1/who"):
        answer = await browser.site.get(path)
        assert answer.status_code == 503
        assert "Redis cannot be reached" in answer.json()["detail"]
        assert answer.headers["x-frame-options"] == "DENY"
    await away.aclose()
