from __future__ import annotations

import asyncio
import base64
import json
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import redis.asyncio
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from config import parse_connection
from config.references import Reference
from tests.ledgers import new_key_text
from tests.servers import (
    Certificate,
    RawServer,
    Received,
    answer,
    make_certificate,
    run_proxy,
    run_raw_server,
    start_valkey,
    stop_valkey,
)
from worker.application import authority_of
from worker.credentials import SigninTarget, certificate_ends_at, read_roles
from worker.errors import TokenRefused, TokenUnavailable
from worker.graph import GraphTarget, graph_base
from worker.keys import Keys
from worker.seal import Sealer
from worker.shelf import TokenShelf
from worker.tokens import LOOK_AT_SHELF_S, TokenSource

TENANT = "11111111-2222-4333-8444-555555555555"
Reply = tuple[int, Any, dict[str, str]]


@dataclass(frozen=True)
class Target:
    """A connection as the token source sees it."""

    authority: str
    ca_file: str | None
    client_secret: tuple[Reference, ...] = ()
    certificate: Reference | None = None
    certificate_password: Reference | None = None
    name: str = "contoso"
    tenant_id: str = TENANT
    client_id: str = "client-1"
    cloud: str = "global"
    scope: str = "https://graph.microsoft.com/.default"
    client_key: str = f"global/{TENANT}/client-1"


def make_jwt(**claims: Any) -> str:
    """Return a token that looks like Entra's."""
    parts = [{"typ": "JWT", "alg": "none"}, {"roles": ["User.Invite.All"], **claims}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "signature"])


@dataclass
class Entra:
    """What the local sign-in service answers next, and what it was asked."""

    server: RawServer
    target: Target
    respond: Callable[[dict[str, str]], Reply]
    asked: list[dict[str, str]] = field(default_factory=list)
    delay_s: float = 0.0
    discovery: Reply | None = None

    async def behave(self, request: Received, writer: asyncio.StreamWriter) -> None:
        if request.path.endswith("/.well-known/openid-configuration"):
            base = f"{self.server.url}/{TENANT}"
            found = {
                "issuer": base,
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/x",
            }
            status, body, headers = self.discovery or (200, found, {})
        else:
            form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            self.asked.append(form)
            await asyncio.sleep(self.delay_s)
            status, body, headers = self.respond(form)
        answer(writer, status, body, headers)


def good(form: dict[str, str]) -> Reply:
    """Grant a token that is different each time."""
    token = make_jwt(nonce=time.perf_counter_ns(), secret=form.get("client_secret", ""))
    return 200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}, {}


def refuse(code: int, status: int = 401) -> Reply:
    """Refuse as Entra does."""
    description = f"AADSTS{code}: Because. Trace ID: 1"
    return status, {"error": "invalid_client", "error_codes": [code], "error_description": description}, {}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return what the local sign-in service shows."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "localhost", "login.usher.test")


@pytest.fixture
async def entra(certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Entra]:
    """Run a sign-in service, with a connection to it whose secret is the text "right"."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    secret = tmp_path / "secret"
    secret.write_text("right\n")

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await found.behave(request, writer)

    async with run_raw_server(certificate, behave) as server:
        reference = Reference.parse(f"file:{secret}")
        found = Entra(server, Target(server.url, str(certificate.certificate), (reference,)), good)
        yield found


@asynccontextmanager
async def source(shelf: TokenShelf | None = None, **changes: Any) -> AsyncIterator[TokenSource]:
    """Open a token source and close it."""
    opened = TokenSource(shelf, **changes)
    try:
        yield opened
    finally:
        await opened.close()


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
        for _ in range(200):
            if len(entra.asked) == 2 and (await tokens.get(entra.target)) is not first:
                break
            await asyncio.sleep(0.01)
        second = await tokens.get(entra.target)
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
        await tokens.get(replace(entra.target, client_secret=tuple(references)))
    assert [form["client_secret"] for form in entra.asked] == ["old", "right"]


async def test_unknown_tenant_is_not_tried_with_every_secret(entra: Entra, tmp_path: Path) -> None:
    """Where no credential would do, one question is enough."""
    entra.respond = lambda form: refuse(90002, 400)
    references = entra.target.client_secret * 2
    async with source() as tokens:
        with pytest.raises(TokenRefused, match=f"no tenant {TENANT} in cloud global"):
            await tokens.get(replace(entra.target, client_secret=references))
    assert len(entra.asked) == 1


async def test_missing_secret_is_one_sentence(entra: Entra) -> None:
    """It names the reference and nothing is asked."""
    target = replace(entra.target, client_secret=(Reference.parse("env:NO_SUCH_SECRET", key="client_secret"),))
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
    """MSAL asks for the tenant's configuration first; its failures are translated like the others."""
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
            await tokens.get(replace(entra.target, authority="https://localhost:1"))
        with pytest.raises(TokenRefused, match="not trusted") as caught:
            await tokens.get(replace(entra.target, ca_file=None))
        assert caught.value.code == "certificate_not_trusted"
        with pytest.raises(TokenRefused, match="ca_file names /no/such"):
            await tokens.get(replace(entra.target, ca_file="/no/such"))
        with pytest.raises(TokenRefused, match="not an https URL"):
            await tokens.get(replace(entra.target, authority="http://localhost:1"))


async def test_proxies_are_graphs_proxies(
    entra: Entra, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
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
        await tokens.get(replace(entra.target, authority="https://login.usher.test"))
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


# --- certificates


def _pfx(made: Certificate, password: bytes) -> bytes:
    encryption = serialization.BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(b"usher", made.key, made.x509, None, encryption)


@pytest.mark.parametrize("kind", ["pem", "pfx", "pfx in a variable", "encrypted pem"])
async def test_certificate_signs_in(
    entra: Entra, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """PEM or PFX, with or without a password: the assertion is the one that Entra asks for."""
    password, path = None, tmp_path / "client.crt"
    if kind == "pem":
        path.write_bytes(certificate.both.read_bytes())
    elif kind == "encrypted pem":
        encryption = serialization.BestAvailableEncryption(b"open sesame")
        formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path.write_bytes(certificate.key.private_bytes(*formats, encryption) + certificate.certificate.read_bytes())
    else:
        path.write_bytes(_pfx(certificate, b"open sesame"))
    if kind != "pem":
        monkeypatch.setenv("PFX_PASSWORD", "open sesame")
        password = Reference.parse("env:PFX_PASSWORD")
    reference = Reference.parse(f"file:{path}")
    if kind == "pfx in a variable":
        monkeypatch.setenv("PFX", base64.b64encode(path.read_bytes()).decode())
        reference = Reference.parse("env:PFX")
    target = replace(entra.target, client_secret=(), certificate=reference, certificate_password=password)
    async with source() as tokens:
        await tokens.get(target)
    assertion = entra.asked[0]["client_assertion"]
    header = jwt.get_unverified_header(assertion)
    thumbprint = base64.urlsafe_b64encode(certificate.x509.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    assert (header["alg"], header["x5t#S256"].rstrip("=")) == ("PS256", thumbprint)
    endpoint = f"{entra.server.url}/{TENANT}/oauth2/v2.0/token"
    claims = jwt.decode(assertion, certificate.key.public_key(), algorithms=["PS256"], audience=endpoint)
    assert claims["iss"] == "client-1"
    assert certificate_ends_at(target) == certificate.x509.not_valid_after_utc


@pytest.mark.parametrize("fault", ["no key", "other key", "rubbish", "wrong password", "missing"])
async def test_certificate_that_cannot_be_used_is_one_sentence(
    entra: Entra, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """It names the reference, and never what is in it."""
    path, password = tmp_path / "client.crt", None
    if fault == "no key":
        path.write_bytes(certificate.certificate.read_bytes())
    elif fault == "other key":
        other = make_certificate(tmp_path, "other.test")
        path.write_bytes(
            certificate.certificate.read_bytes() + other.both.read_bytes().partition(b"-----END CERT")[2][16:]
        )
    elif fault == "rubbish":
        path.write_bytes(b"rubbish")
    elif fault == "wrong password":
        path.write_bytes(_pfx(certificate, b"open sesame"))
        monkeypatch.setenv("PFX_PASSWORD", "wrong")
        password = Reference.parse("env:PFX_PASSWORD")
    reference = Reference.parse(f"file:{path}")
    target = replace(entra.target, client_secret=(), certificate=reference, certificate_password=password)
    async with source() as tokens:
        with pytest.raises(TokenRefused, match="client.crt") as caught:
            await tokens.get(target)
    assert caught.value.code == "credential_unreadable"
    with pytest.raises(TokenRefused):
        certificate_ends_at(target)


# --- the shelf


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """Run a server for this module's tests; a pytest path would be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="u-") as folder:
        process, url = start_valkey(Path(folder))
        try:
            yield url
        finally:
            stop_valkey(process)


@pytest.fixture
async def client(valkey: str) -> AsyncIterator[redis.asyncio.Redis]:
    """Return a client of an empty server of our own."""
    opened = redis.asyncio.Redis.from_url(valkey)
    await opened.flushall()
    yield opened
    await opened.aclose()


KEY = new_key_text()


def shelf_of(client: redis.asyncio.Redis, key: str = KEY) -> TokenShelf:
    """Return a process's shelf."""
    return TokenShelf(client, Keys(), lambda: Sealer([key]))


async def test_processes_ask_once(entra: Entra, client: redis.asyncio.Redis) -> None:
    """Ten cold processes, one question; what lies in Redis is sealed and ends with the token."""
    entra.delay_s = 0.2
    sources = [TokenSource(shelf_of(client)) for _ in range(10)]
    got = await asyncio.gather(*(s.get(entra.target) for s in sources))
    for opened in sources:
        await opened.close()
    assert len(entra.asked) == 1
    assert len({t.secret.reveal() for t in got}) == 1
    assert {t.fingerprint for t in got} == {got[0].fingerprint}
    stored = await client.get(Keys().token(entra.target.client_key))
    assert stored is not None
    assert got[0].secret.reveal().encode() not in base64.b64decode(stored)
    assert 3500 < await client.ttl(Keys().token(entra.target.client_key)) <= 3600
    assert not await client.exists(Keys().token_lock(entra.target.client_key))


async def test_token_of_a_credential_that_is_gone_is_not_taken(
    entra: Entra, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    """After a rotation nobody goes on with what the old secret bought."""
    async with source(shelf_of(client)) as one:
        first = await one.get(entra.target)
    (tmp_path / "secret").write_text("new")
    async with source(shelf_of(client)) as other:
        assert (await other.get(entra.target)).fingerprint != first.fingerprint
    assert len(entra.asked) == 2


async def test_renewal_is_shared_too(entra: Entra, client: redis.asyncio.Redis) -> None:
    """When the token nears its end, one process renews it for all."""
    now = [time.time()]
    async with source(shelf_of(client), now=lambda: now[0]) as one, source(shelf_of(client), now=lambda: now[0]) as two:
        first = await one.get(entra.target)
        assert (await two.get(entra.target)).secret == first.secret
        now[0] += 3400
        for _ in range(300):
            newer = [await one.get(entra.target), await two.get(entra.target)]
            if all(token.secret != first.secret for token in newer):
                break
            await asyncio.sleep(0.01)
        assert newer[0].secret == newer[1].secret != first.secret
    assert len(entra.asked) == 2


async def test_a_newer_token_on_the_shelf_is_taken_up(entra: Entra, client: redis.asyncio.Redis) -> None:
    """Somebody has checked the connection, perhaps since roles were granted: who has a good token of before takes the new one, too."""
    now = [time.time()]
    async with source(shelf_of(client), now=lambda: now[0]) as one, source(shelf_of(client), now=lambda: now[0]) as two:
        first = await one.get(entra.target)
        now[0] += 2
        newer = await two.get(entra.target, fresh=True)
        assert await one.get(entra.target) is first
        now[0] += LOOK_AT_SHELF_S
        found = await asyncio.gather(*(one.get(entra.target) for _ in range(5)))
        assert {token.secret.reveal() for token in found} == {newer.secret.reveal()} != {first.secret.reveal()}
    assert len(entra.asked) == 2


async def test_what_another_credential_bought_is_not_taken_up(
    entra: Entra, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    """Nor one that Graph refused."""
    now = [time.time()]
    async with source(shelf_of(client), now=lambda: now[0]) as one, source(shelf_of(client), now=lambda: now[0]) as two:
        first = await one.get(entra.target)
        now[0] += 2
        (tmp_path / "secret").write_text("new")
        assert (await two.get(entra.target, fresh=True)).fingerprint != first.fingerprint
        now[0] += LOOK_AT_SHELF_S
        assert await one.get(entra.target) is first


async def test_refused_token_leaves_the_shelf(entra: Entra, client: redis.asyncio.Redis) -> None:
    """A token that Graph refused is nobody's any more; a newer one stays."""
    async with source(shelf_of(client)) as one, source(shelf_of(client)) as two:
        first = await one.get(entra.target)
        await two.get(entra.target)
        await one.invalidate(entra.target, first)
        second = await one.get(entra.target)
        await two.invalidate(entra.target, first)
        assert (await two.get(entra.target)).secret == second.secret
    assert len(entra.asked) == 2


async def test_dead_asker_is_not_waited_for_long(entra: Entra, client: redis.asyncio.Redis) -> None:
    """The lock of a killed process runs out, and the next one asks."""
    await client.set(Keys().token_lock(entra.target.client_key), "killed", px=300)
    async with source(shelf_of(client)) as tokens:
        started = time.monotonic()
        await tokens.get(entra.target)
        assert time.monotonic() - started >= 0.2
    assert len(entra.asked) == 1


async def test_other_key_and_rubbish_on_the_shelf_are_passed_over(entra: Entra, client: redis.asyncio.Redis) -> None:
    """What cannot be opened is asked for anew."""
    async with source(shelf_of(client)) as tokens:
        await tokens.get(entra.target)
    async with source(shelf_of(client, new_key_text())) as tokens:
        await tokens.get(entra.target)
    await client.set(Keys().token(entra.target.client_key), b"\xff rubbish")
    async with source(shelf_of(client)) as tokens:
        await tokens.get(entra.target)
    assert len(entra.asked) == 3


async def test_redis_away_means_asking_ourselves(entra: Entra) -> None:
    """The shelf is a convenience: without Redis there are tokens all the same."""
    dead = redis.asyncio.Redis.from_url("unix:///no/such.sock")
    async with source(shelf_of(dead)) as tokens:
        token = await tokens.get(entra.target)
        await tokens.invalidate(entra.target, token)
        await tokens.get(entra.target, fresh=True)
    await dead.aclose()
    assert len(entra.asked) == 2


async def test_client_that_decodes_will_do(entra: Entra, valkey: str) -> None:
    """What is stored is text: the shelf works with either kind of client."""
    decoding = redis.asyncio.Redis.from_url(valkey, decode_responses=True)
    await decoding.flushall()
    async with source(shelf_of(decoding)) as one, source(shelf_of(decoding)) as two:
        first = await one.get(entra.target)
        assert (await two.get(entra.target)).secret == first.secret
        await one.invalidate(entra.target, first)
        assert not await decoding.exists(Keys().token(entra.target.client_key))
    await decoding.aclose()


# --- small things


@pytest.mark.parametrize(
    ("token", "roles"),
    [
        (make_jwt(), {"User.Invite.All"}),
        (make_jwt(roles=[]), set()),
        (make_jwt(roles="User.Invite.All"), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.!!!.c", None),
    ],
)
def test_roles_are_a_hint(token: str, roles: set[str] | None) -> None:
    """What cannot be read is no error."""
    assert read_roles(token) == roles


def test_configured_connection_is_what_is_needed() -> None:
    """The stand-in above and the real thing have the same shape (mypy reads this test too)."""
    table = {"tenant_id": TENANT, "client_id": "client-1", "client_secret": "env:X"}
    connection = parse_connection("contoso", table)
    signin: SigninTarget = connection
    graph: GraphTarget = connection
    assert authority_of(signin) == f"https://login.microsoftonline.com/{TENANT}"
    assert graph_base(graph.graph_url) == "https://graph.microsoft.com/v1.0"


def test_authority_gets_its_tenant() -> None:
    """A configured host alone is enough."""
    assert authority_of(Target("https://login.example/", None)) == f"https://login.example/{TENANT}"
    assert authority_of(Target("https://login.example/t", None)) == "https://login.example/t"
