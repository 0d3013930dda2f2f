"""A connection that keeps no secret: each kind signs in, rolls over without a restart, and says
what to do where it cannot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.connections import Connection
from config.reader import parse_connection
from tests.brokers import free_port
from tests.sites import Site
from worker.errors import TokenRefused, TokenUnavailable
from worker.signin.tokens import TokenSource

pytestmark = pytest.mark.sandbox(replication="0")

SUBJECT = "system:serviceaccount:usher:worker"
PLATFORMS = (
    pytest.param(("AZURE_POD_IDENTITY_AUTHORITY_HOST", ""), id="machine"),
    pytest.param(("IDENTITY_ENDPOINT", "/msi/token"), id="app service"),
)


@pytest.fixture(autouse=True)
def platform(site: Site, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Put the sandbox where the platform would be, and forget what it knew of identities."""
    site.sandbox.ask("federation", {"action": "forget"})
    variable, path = getattr(request, "param", ("AZURE_POD_IDENTITY_AUTHORITY_HOST", ""))
    monkeypatch.setenv("IDENTITY_HEADER", "right")
    monkeypatch.setenv(variable, site.sandbox.ready["url"] + path)


@pytest.fixture
async def tokens() -> AsyncIterator[TokenSource]:
    """Sign in with nothing shared and nothing remembered."""
    source = TokenSource(timeout_s=5)
    yield source
    await source.close()


def connection(site: Site, **credential: Any) -> Connection:
    """Return a connection to the sandbox with some credential."""
    ready = site.sandbox.ready
    table = {name: ready[name] for name in ("tenant_id", "client_id", "authority", "graph_url", "ca_file")}
    return parse_connection("contoso", table | credential, base=site.folder)


def federation(site: Site, **asked: Any) -> dict[str, Any]:
    """Ask the sandbox for something about who vouches for whom."""
    found: dict[str, Any] = site.sandbox.ask("federation", asked)
    return found


def write_assertion(site: Site, **asked: Any) -> Path:
    """Write a token of the sandbox's issuer where the connection reads it."""
    path = site.folder / "assertion"
    path.write_text(federation(site, action="assertion", **{"subject": SUBJECT, **asked})["assertion"] + "\n")
    return path


@pytest.mark.parametrize("platform", PLATFORMS, indirect=True)
@pytest.mark.parametrize("system", [True, False])
async def test_a_managed_identity_signs_in(site: Site, tokens: TokenSource, system: bool) -> None:
    """The machine's own, and one that was assigned to it."""
    identity = federation(site, action="identity", system=system)["client_id"]
    token = await tokens.get(connection(site, managed_identity="system" if system else identity))
    assert "User.Invite.All" in (token.roles or ())


async def test_an_identity_that_the_machine_has_not(site: Site, tokens: TokenSource) -> None:
    """The platform is there, and knows another one."""
    federation(site, action="identity", system=True)
    wanted = "7f1a4c3e-1111-4222-8333-444455556666"
    with pytest.raises(TokenRefused, match=f"has no managed identity {wanted}.*assign it to the machine"):
        await tokens.get(connection(site, managed_identity=wanted))


async def test_a_machine_without_identities(site: Site, tokens: TokenSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers where a platform would."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TokenRefused, match="Nobody hands out tokens of a managed identity here") as refused:
        await tokens.get(connection(site, managed_identity="system"))
    assert refused.value.code == "no_managed_identity"


async def test_a_platform_that_is_not_ready(site: Site, tokens: TokenSource) -> None:
    """It passes by itself: nobody has to do anything."""
    federation(site, action="status", status=503)
    with pytest.raises(TokenUnavailable, match="not ready"):
        await tokens.get(connection(site, managed_identity="system"))
    federation(site, action="status", status=0)


async def test_a_file_is_exchanged_and_read_anew(site: Site, tokens: TokenSource) -> None:
    """As a projected service account token: when it has ended, the next one counts at once."""
    federation(site, action="trust", subject=SUBJECT)
    write_assertion(site, life_s=-3600)
    target = connection(site, client_assertion="file:assertion")
    with pytest.raises(TokenRefused, match="outside its time.*client_assertion") as refused:
        await tokens.get(target)
    assert refused.value.code == "AADSTS700024"
    write_assertion(site)
    assert "User.Invite.All" in ((await tokens.get(target, fresh=True)).roles or ())


@pytest.mark.parametrize(
    ("trusted", "code", "said"),
    [
        ({"issuer": "https://issuer.example"}, "AADSTS700211", "set the issuer"),
        ({"subject": "somebody else"}, "AADSTS700213", "set the subject"),
        ({"audience": "api://other"}, "AADSTS700212", "another audience"),
    ],
)
async def test_an_assertion_that_the_application_does_not_trust(
    site: Site, tokens: TokenSource, trusted: dict[str, str], code: str, said: str
) -> None:
    """Whatever does not match is named, and where it is set."""
    federation(site, action="trust", **{"subject": SUBJECT, **trusted})
    write_assertion(site)
    with pytest.raises(TokenRefused, match=said) as refused:
        await tokens.get(connection(site, client_assertion="file:assertion"))
    assert refused.value.code == code


async def test_a_file_that_is_not_there(site: Site, tokens: TokenSource) -> None:
    """The setting and the file are named."""
    with pytest.raises(TokenRefused, match=r"client_assertion refers to file:gone, which does not exist"):
        await tokens.get(connection(site, client_assertion="file:gone"))


async def test_a_managed_identity_opens_another_tenant(site: Site, tokens: TokenSource) -> None:
    """Its token takes the secret's place of an application that trusts it."""
    made = federation(site, action="identity")
    federation(site, action="trust", issuer=made["issuer"], subject=made["subject"])
    target = connection(site, client_assertion=f"managed_identity:{made['client_id']}")
    assert "User.Invite.All" in ((await tokens.get(target)).roles or ())
    federation(site, action="forget")
    with pytest.raises(TokenRefused, match="has no managed identity"):
        await tokens.get(target, fresh=True)


async def test_a_worker_goes_on_when_the_file_is_renewed(site: Site) -> None:
    """Rows wait for a file that has ended, and go on without a restart once it is renewed."""
    federation(site, action="trust", subject=SUBJECT)
    write_assertion(site, life_s=-3600)
    config = site.folder / "usher.toml"
    lines = config.read_text().splitlines()
    config.write_text(
        "\n".join('client_assertion = "file:assertion"' if line.startswith("client_secret") else line for line in lines)
    )
    site.start_worker()
    job = await site.load(["somebody@partner.example"])

    async def held() -> str:
        return (await site.view(job)).gate.why

    assert "outside its time" in await site.until("a gate that is held", held)
    write_assertion(site)
    assert (await site.ended(job)).counts.done == 1
