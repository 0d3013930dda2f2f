"""A connection that keeps no secret: each kind signs in, rolls over without a restart, and says
what to do where it cannot.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msal import managed_identity

from config.connections import Connection
from config.reader import parse_connection
from tests.brokers import free_port
from tests.sites import Site
from worker.errors import TokenRefused, TokenUnavailable
from worker.signin.tokens import TokenSource

pytestmark = pytest.mark.sandbox(replication="0")

SUBJECT = "system:serviceaccount:usher:worker"
MACHINE: dict[str, str] = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": ""}
APP_SERVICE = {"IDENTITY_ENDPOINT": "/msi/token", "IDENTITY_HEADER": ""}
ARC = {"IDENTITY_ENDPOINT": "/himds/metadata/identity/oauth2/token", "IMDS_ENDPOINT": "/himds"}
PLATFORMS = (
    pytest.param(MACHINE, id="machine"),
    pytest.param(APP_SERVICE, id="app service"),
    pytest.param(ARC, id="arc"),
)


@pytest.fixture(autouse=True)
def platform(
    site: Site, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, key_files: Path
) -> Iterator[None]:
    """Put the sandbox where the platform would be, and forget what it knew of identities."""
    site.sandbox.ask("federation", {"action": "forget"})
    site.sandbox.ask("federation", {"action": "keys", "folder": str(key_files)})
    for variable, path in getattr(request, "param", MACHINE).items():
        monkeypatch.setenv(variable, site.sandbox.ready["url"] + path)
    yield
    site.sandbox.ask("federation", {"action": "forget"})  # and its key files


@pytest.fixture(scope="module")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder in which MSAL reads the key files of Azure Arc's agent: the real one where
    this account may make it, else another that MSAL is told of.
    """
    real = Path("/var/opt/azcmagent/tokens")
    made = [folder for folder in (real, real.parent) if not folder.exists()]
    with pytest.MonkeyPatch.context() as patch:
        try:
            real.mkdir(parents=True, exist_ok=True)
            usable = os.access(real, os.W_OK)
        except OSError:
            usable = False
        folder = real if usable else tmp_path_factory.mktemp("tokens")
        if not usable:
            patch.setitem(managed_identity._supported_arc_platforms_and_their_prefixes, sys.platform, str(folder))
        yield folder
    for folder in made:
        with suppress(OSError):  # somebody else's key lies in it
            folder.rmdir()


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


def let_sign_in_by(site: Site, setting: str) -> None:
    """Let the configured connection sign in by this."""
    config = site.folder / "usher.toml"
    lines = config.read_text().splitlines()
    config.write_text("\n".join(setting if line.startswith("client_secret") else line for line in lines))


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


@pytest.mark.parametrize("platform", [ARC], indirect=True)
async def test_an_arc_server_whose_key_this_account_may_not_read(
    site: Site, tokens: TokenSource, tmp_path: Path
) -> None:
    """The agent lets only its group ask: the sentence names it, and counts once that is done."""
    federation(site, action="identity", system=True)
    federation(site, action="keys", folder=str(tmp_path))
    target = connection(site, managed_identity="system")
    with pytest.raises(TokenRefused, match="add the account that usher runs as to the group himds") as refused:
        await tokens.get(target)
    assert refused.value.code == "managed_identity_401"


@pytest.mark.parametrize("platform", [ARC], indirect=True)
async def test_an_arc_server_that_knows_another_identity(site: Site, tokens: TokenSource) -> None:
    """As any machine: it is to be assigned."""
    federation(site, action="identity", system=True)
    with pytest.raises(TokenRefused, match="assign it to the machine"):
        await tokens.get(connection(site, managed_identity="7f1a4c3e-1111-4222-8333-444455556666"))


async def test_an_identity_of_another_tenant_invites_nobody(site: Site, tokens: TokenSource) -> None:
    """The platform is not told which tenant is meant: its token would open its own."""
    federation(site, action="identity", system=True)
    target = connection(site, managed_identity="system", tenant_id="7f1a4c3e-1111-4222-8333-444455556666")
    with pytest.raises(TokenRefused, match=f"is of tenant {site.sandbox.ready['tenant_id']} and reaches no other"):
        await tokens.get(target)


async def test_a_domain_cannot_be_compared(site: Site, tokens: TokenSource) -> None:
    """One that Entra does not know would be taken for the identity's tenant."""
    federation(site, action="identity", system=True)
    target = connection(site, managed_identity="system", tenant_id="nowhere.example")
    with pytest.raises(TokenRefused, match=f"let its tenant_id be {site.sandbox.ready['tenant_id']}"):
        await tokens.get(target)


async def test_an_identity_that_is_another_client(site: Site, tokens: TokenSource) -> None:
    """Quota is counted by client: the connection has to say which it is."""
    federation(site, action="identity", system=True)
    target = connection(site, managed_identity="system", client_id="7f1a4c3e-1111-4222-8333-444455556666")
    with pytest.raises(TokenRefused, match=f"let its client_id be {site.sandbox.ready['client_id']}"):
        await tokens.get(target)


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
    with pytest.raises(TokenRefused, match="has no managed identity.*check client_assertion of the connection"):
        await tokens.get(target, fresh=True)
    made = federation(site, action="identity")
    federation(site, action="trust", issuer=made["issuer"], subject=made["subject"], audience="api://other")
    with pytest.raises(TokenRefused, match="another audience"):
        await tokens.get(target, fresh=True)
    federation(site, action="trust", issuer=made["issuer"], subject=made["subject"])
    assert "User.Invite.All" in ((await tokens.get(target, fresh=True)).roles or ())


async def test_a_worker_goes_on_when_the_file_is_renewed(site: Site) -> None:
    """Rows wait for a file that has ended, and go on without a restart once it is renewed."""
    federation(site, action="trust", subject=SUBJECT)
    write_assertion(site, life_s=-3600)
    let_sign_in_by(site, 'client_assertion = "file:assertion"')
    site.start_worker()
    job = await site.load(["somebody@partner.example"])

    async def held() -> str:
        return (await site.view(job)).gate.why

    assert "outside its time" in await site.until("a gate that is held", held)
    write_assertion(site)
    assert (await site.ended(job)).counts.done == 1


async def test_a_worker_goes_on_when_the_identity_is_assigned(site: Site) -> None:
    """Rows wait for a machine without the identity, and go on without a restart once it has it."""
    let_sign_in_by(site, 'managed_identity = "system"')
    site.start_worker()
    job = await site.load(["somebody@partner.example"])

    async def held() -> str:
        return (await site.view(job)).gate.why

    assert "has no system-assigned managed identity" in await site.until("a gate that is held", held)
    federation(site, action="identity", system=True)
    assert (await site.ended(job)).counts.done == 1
