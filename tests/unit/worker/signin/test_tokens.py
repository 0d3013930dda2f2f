from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from config.references import Reference
from tests.servers import Certificate, run_proxy
from tests.signins import TENANT, Entra, Reply, changed, good, refuse, source
from worker.errors import TokenRefused, TokenUnavailable


async def _no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


async def test_a_hundred_waiters_ask_once(entra: Entra) -> None:
    """However many rows wait, Entra hears one question."""
    entra.delay_s = 0.05
    async with source() as tokens:
        got = await asyncio.gather(*(tokens.get(entra.target) for _ in range(100)))
    assert len({t.secret.reveal() for t in got}) == 1
    assert len(entra.asked) == 1
    assert entra.asked[0]["client_secret"] == "right"
    assert entra.asked[0]["scope"] == "https://graph.microsoft.com/.default"
    assert entra.asked[0]["grant_type"] == "client_credentials"
    assert got[0].roles == frozenset({"User.Invite.All"})
    assert len(got[0].fingerprint) == 12
    assert 3500 < (got[0].expires_at - got[0].issued_at).total_seconds() <= 3600
    assert "right" not in repr(got[0])
    assert got[0].secret.reveal() not in repr(got[0])


async def test_no_connection_stays_open_after_a_sign_in(entra: Entra) -> None:
    """The next one is an hour away, and a thousand tenants would use up what a process may open."""
    async with source() as tokens:
        await tokens.get(entra.target)
        assert entra.server.connections == 1
        await tokens.get(entra.target, fresh=True)
        assert entra.server.connections == 2


async def test_token_is_renewed_while_the_old_one_serves(entra: Entra) -> None:
    """Near its end nobody waits for the next one, and nobody gets an ended one."""
    now = [time.time()]
    async with source(now=lambda: now[0]) as tokens:
        first = await tokens.get(entra.target)
        now[0] += 3000
        assert await tokens.get(entra.target) is first
        assert len(entra.asked) == 1
        now[0] += 350
        assert await tokens.get(entra.target) is first
        while (second := await tokens.get(entra.target)) is first:  # noqa: ASYNC110 - a renewal has no event
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)  # its task is over
        assert second.secret != first.secret
        now[0] += 3700
        assert (await tokens.get(entra.target)).secret != second.secret
    assert len(entra.asked) == 3


async def test_failed_renewal_is_said_and_does_no_harm(entra: Entra, caplog: pytest.LogCaptureFixture) -> None:
    """While the old token lives, an ended secret stops nothing; the log tells."""
    now = [time.time()]
    async with source(now=lambda: now[0]) as tokens:
        first = await tokens.get(entra.target)
        entra.respond = lambda form: refuse(7000222)
        now[0] += 3400
        assert await tokens.get(entra.target) is first
        while not caplog.records:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)
        assert await tokens.get(entra.target) is first
        assert len(entra.asked) == 2
    assert "expired" in caplog.text


async def test_refusal_is_a_sentence_and_is_not_asked_again_at_once(entra: Entra) -> None:
    """A refused secret is one question, and the sentence names the slip."""
    entra.respond = lambda form: refuse(7000215)
    now = [time.time()]
    async with source(now=lambda: now[0]) as tokens:
        for _ in range(3):
            with pytest.raises(TokenRefused, match="secret's ID was pasted") as caught:
                await tokens.get(entra.target)
        assert caught.value.code == "AADSTS7000215"
        assert len(caught.value.fingerprint) == 12
        assert "right" not in str(caught.value) + repr(caught.value)
        assert len(entra.asked) == 1
        now[0] += 6
        with pytest.raises(TokenRefused):
            await tokens.get(entra.target)
        assert len(entra.asked) == 2


async def test_changed_secret_counts_at_once(entra: Entra, tmp_path: Path) -> None:
    """MSAL would serve a 400 from memory for a minute; a new secret must not wait for that."""
    entra.respond = lambda form: good(form) if form["client_secret"] == "new" else refuse(7000215, 400)
    async with source() as tokens:
        with pytest.raises(TokenRefused):
            await tokens.get(entra.target, fresh=True)
        with pytest.raises(TokenRefused):
            await tokens.get(entra.target, fresh=True)
        assert len(entra.asked) == 2
        (tmp_path / "secret").write_text("new")
        assert (await tokens.get(entra.target, fresh=True)).roles
    assert [form["client_secret"] for form in entra.asked] == ["right", "right", "new"]


async def test_secrets_are_tried_in_order(entra: Entra, tmp_path: Path) -> None:
    """A list of secrets rolls over: an expired or unreadable first one does no harm."""
    (tmp_path / "old").write_text("old")
    entra.respond = lambda form: good(form) if form["client_secret"] == "right" else refuse(7000222)
    references = [Reference.parse(f"file:{tmp_path / name}") for name in ("missing", "old", "secret")]
    async with source() as tokens:
        await tokens.get(changed(entra.target, client_secret=tuple(references)))
    assert [form["client_secret"] for form in entra.asked] == ["old", "right"]


async def test_unknown_tenant_is_not_tried_with_every_secret(entra: Entra, tmp_path: Path) -> None:
    """Where no credential would do, one question is enough."""
    entra.respond = lambda form: refuse(90002, 400)
    references = entra.target.client_secret * 2
    async with source() as tokens:
        with pytest.raises(TokenRefused, match=f"no tenant {TENANT} in cloud global"):
            await tokens.get(changed(entra.target, client_secret=references))
    assert len(entra.asked) == 1


async def test_missing_secret_is_one_sentence(entra: Entra) -> None:
    """It names the reference and nothing is asked."""
    target = changed(entra.target, client_secret=(Reference.parse("env:NO_SUCH_SECRET", key="client_secret"),))
    async with source() as tokens:
        with pytest.raises(TokenRefused, match="env:NO_SUCH_SECRET") as caught:
            await tokens.get(target)
    assert caught.value.code == "credential_unreadable"
    assert entra.asked == []


@pytest.mark.parametrize("reply", [(500, {"error": "server_error"}, {}), (503, b"<html>", {}), refuse(90033, 400)])
async def test_passing_trouble_is_tried_three_times(entra: Entra, reply: Reply) -> None:
    """What passes by itself gets three tries, then a word that it passes."""
    entra.respond = lambda form: reply
    async with source(sleep=_no_sleep) as tokens:
        with pytest.raises(TokenUnavailable, match="by itself"):
            await tokens.get(entra.target)
    assert len(entra.asked) == 3


async def test_second_try_may_succeed(entra: Entra) -> None:
    """MSAL's memory of a 5xx does not answer in Entra's place."""
    entra.respond = lambda form: (503, {}, {}) if len(entra.asked) == 1 else good(form)
    async with source(sleep=_no_sleep) as tokens:
        await tokens.get(entra.target)
    assert len(entra.asked) == 2


async def test_long_retry_after_is_kept(entra: Entra) -> None:
    """A throttled sign-in is not hammered, and the caller learns the time."""
    entra.respond = lambda form: (429, {"error": "x"}, {"Retry-After": "60"})
    now = [time.time()]
    async with source(now=lambda: now[0]) as tokens:
        for _ in range(2):
            with pytest.raises(TokenUnavailable) as caught:
                await tokens.get(entra.target)
            now[0] += 30
    assert caught.value.retry_after_s == 60
    assert len(entra.asked) == 1


@pytest.mark.parametrize(
    ("discovery", "error"),
    [
        ((400, refuse(90002)[1], {}), TokenRefused),
        ((404, b"<html>", {}), TokenRefused),
        ((500, {}, {}), TokenUnavailable),
        ((200, b"<html>", {}), TokenUnavailable),
        ((200, {}, {}), TokenUnavailable),
        ((302, b"", {"Location": "https://login.example"}), TokenRefused),
    ],
)
async def test_tenant_that_cannot_be_discovered(entra: Entra, discovery: Reply, error: type[Exception]) -> None:
    """MSAL asks for the tenant's configuration first; its failures are translated like the
    others.
    """
    entra.discovery = discovery
    async with source(sleep=_no_sleep) as tokens:
        with pytest.raises(error):
            await tokens.get(entra.target)
    assert entra.asked == []


async def test_half_a_token_is_not_logged(entra: Entra, caplog: pytest.LogCaptureFixture) -> None:
    """MSAL logs what it cannot parse; half a token is still a token."""
    caplog.set_level(logging.DEBUG)
    entra.respond = lambda form: (200, b'{"access_token": "eyJ-half-a-token', {})
    async with source(sleep=_no_sleep) as tokens:
        with pytest.raises(TokenUnavailable):
            await tokens.get(entra.target)
    assert "half-a-token" not in caplog.text
    assert "right" not in caplog.text


async def test_nobody_there_and_nobody_trusted(entra: Entra) -> None:
    """A dead host passes, an untrusted one needs a person."""
    async with source(sleep=_no_sleep) as tokens:
        with pytest.raises(TokenUnavailable, match="cannot be reached"):
            await tokens.get(changed(entra.target, authority=f"https://localhost:1/{TENANT}"))
        with pytest.raises(TokenRefused, match="not trusted") as caught:
            await tokens.get(changed(entra.target, ca_file=None))
        assert caught.value.code == "certificate_not_trusted"
        with pytest.raises(TokenRefused, match="ca_file names /no/such"):
            await tokens.get(changed(entra.target, ca_file="/no/such"))
        with pytest.raises(TokenRefused, match="not an https URL"):
            await tokens.get(changed(entra.target, authority=f"http://localhost:1/{TENANT}"))


async def test_proxies_are_graphs_proxies(
    entra: Entra, signin_certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback goes direct, other hosts through the proxy, as for Graph itself."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with source() as tokens, run_proxy(entra.server.port) as (proxy, asked):
        await tokens.get(entra.target)
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        entra.discovery = (
            200,
            {"token_endpoint": f"https://login.usher.test/{TENANT}/t", "authorization_endpoint": "x"},
            {},
        )
        await tokens.get(changed(entra.target, authority=f"https://login.usher.test/{TENANT}"))
    assert asked[0].startswith("CONNECT login.usher.test:443")
    assert len(entra.asked) == 2


async def test_one_waiter_that_leaves_takes_nobody_along(entra: Entra) -> None:
    """A cancelled row does not cancel the sign-in that others wait for."""
    entra.delay_s = 0.2
    async with source() as tokens:
        leaving = asyncio.create_task(tokens.get(entra.target))
        staying = asyncio.create_task(tokens.get(entra.target))
        await asyncio.sleep(0.05)
        leaving.cancel()
        assert (await staying).roles
        assert leaving.cancelled()


async def test_refused_token_is_forgotten(entra: Entra) -> None:
    """After Graph's 401 the next token is a new one."""
    async with source() as tokens:
        first = await tokens.get(entra.target)
        await tokens.invalidate(entra.target, first)
        assert (await tokens.get(entra.target)).secret != first.secret
    assert len(entra.asked) == 2
