from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox.__main__ import build_parser
from sandbox.certificates import make_app_certificate, read_app_certificate
from sandbox.control.api import Control
from sandbox.serving.consent_page import admin_consent
from sandbox.tokens import TokenError
from worker.signin.new_certificate import make_certificate

URL = "https://127.0.0.1:1/t/oauth2/v2.0/token"
SCOPE = "https://graph.microsoft.com/.default"


class Client:
    """Asks a world's login endpoint for tokens."""

    def __init__(self, desk: Any) -> None:
        self.world = desk.world
        self.tenant, self.app = desk.world.apps[0]

    def ask(self, **change: str | None) -> tuple[int, Any]:
        secret = next(iter(self.app.secrets))
        form = {
            "grant_type": "client_credentials",
            "client_id": self.app.client_id,
            "client_secret": secret,
            "scope": SCOPE,
            **change,
        }
        tenant = form.pop("tenant", None) or self.tenant.id
        given = {key: value for key, value in form.items() if value is not None}
        answer = self.world.login.token(tenant, given, URL, "correlation", self.world.sign_in)
        return answer.status, answer.body


@pytest.fixture
def client(desk: Any) -> Client:
    """A client of the default world."""
    return Client(desk)


def test_token(client: Client) -> None:
    """A token has Entra's claims and is good for Graph calls."""
    status, body = client.ask()
    assert status == 200
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["roles"] == sorted(client.app.roles)
    assert (claims["tid"], claims["appid"], claims["appidacr"]) == (client.tenant.id, client.app.client_id, "1")
    assert claims["aud"] == "https://graph.microsoft.com"
    assert body["expires_in"] == 3_599
    assert client.world.tokens.verify(f"Bearer {body['access_token']}").tenant is client.tenant


@pytest.mark.parametrize("scope", ["https://127.0.0.1:1/.default", "https://localhost:1/.default"])
def test_scopes_of_the_sandbox_itself(client: Client, scope: str) -> None:
    """The sandbox's own address is a Graph host too."""
    assert client.ask(scope=scope)[0] == 200


def test_tenant_may_be_named_by_domain(client: Client) -> None:
    """As on the real endpoint."""
    assert client.ask(tenant="contoso.example")[0] == 200


@pytest.mark.parametrize(
    ("change", "number", "error", "status"),
    [
        ({"client_secret": "wrong"}, 7000215, "invalid_client", 401),
        ({"client_id": "11111111-1111-1111-1111-111111111111"}, 700016, "unauthorized_client", 400),
        ({"tenant": "11111111-1111-1111-1111-111111111111"}, 90002, "invalid_request", 400),
        ({"tenant": "common"}, 9001023, "invalid_request", 400),
        ({"client_secret": None}, 7000218, "invalid_client", 401),
        ({"grant_type": "password"}, 70003, "unsupported_grant_type", 400),
        ({"scope": "User.Invite.All"}, 70011, "invalid_scope", 400),
        ({"scope": None}, 900144, "invalid_request", 400),
        ({"scope": "https://graph.microsoft.us/.default"}, 500011, "invalid_resource", 400),
    ],
)
def test_refusals(client: Client, change: dict[str, str | None], number: int, error: str, status: int) -> None:
    """Every refusal has its AADSTS number, in all the places Entra puts it."""
    found, body = client.ask(**change)
    assert (found, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert body["correlation_id"] == "correlation"
    assert client.world.login.refused == {number: 1}


def test_secret_expiry_and_rotation(client: Client) -> None:
    """An expired secret and a replaced one are different refusals; a disabled application is a
    third.
    """
    old = next(iter(client.app.secrets))
    client.world.expire_secrets(client.app)
    assert client.ask()[1]["error_codes"] == [7000222]
    client.world.rotate_secret(client.app, keep_old=False)
    assert client.ask(client_secret=old)[1]["error_codes"] == [7000215]
    assert client.ask(client_secret=Path(client.app.secret_file).read_text())[0] == 200
    client.app.enabled = False
    assert client.ask()[1]["error_codes"] == [7000112]
    client.app.enabled = True


def _assertion(client: Client, header: dict[str, str], key: bytes, **claims: Any) -> str:
    now = time.time()
    usual = {
        "aud": URL,
        "iss": client.app.client_id,
        "sub": client.app.client_id,
        "jti": "1",
        "exp": now + 600,
        "nbf": now,
    }
    private = load_pem_private_key(key, None)
    return jwt.encode({**usual, **claims}, private, algorithm="RS256", headers=header)  # type: ignore[arg-type]


def test_certificate(client: Client, tmp_path: Path) -> None:
    """An assertion signed by the registered certificate is taken, by either thumbprint; no other
    is.
    """
    registered = client.app.certificates[0]
    key = client.world.certificate_file.read_bytes()
    other_file = tmp_path / "other.pem"
    other = make_app_certificate(other_file)

    def ask(header: dict[str, str], private: bytes, **claims: Any) -> list[int]:
        assertion = _assertion(client, header, private, **claims)
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        body = client.ask(client_secret=None, client_assertion=assertion, client_assertion_type=kind)[1]
        return list(body.get("error_codes", []))

    assert ask({"x5t": registered.x5t}, key) == []
    assert ask({"x5t#S256": registered.x5t_s256}, key) == []
    assert ask({"x5t": other.x5t}, other_file.read_bytes()) == [700027]
    assert ask({"x5t": registered.x5t}, other_file.read_bytes()) == [700027]
    assert ask({}, key) == [700027]
    assert ask({"x5t": registered.x5t}, key, exp=time.time() - 3_600) == [700024]
    assert ask({"x5t": registered.x5t}, key, iss="somebody") == [700030]
    assert ask({"x5t": registered.x5t}, key, aud="https://elsewhere.example") == [50027]


def test_tokens_are_checked_on_every_call(client: Client) -> None:
    """Missing, forged, expired and revoked tokens are refused."""
    tokens = client.world.tokens
    token = client.ask()[1]["access_token"]
    for header in (None, "", "Basic x", "Bearer x", f"Bearer {token}x", "Bearer a.b.c"):
        with pytest.raises(TokenError):
            tokens.verify(header)
    caller = tokens.verify(f"Bearer {token}")
    tokens.revoke(caller)
    with pytest.raises(TokenError):
        tokens.verify(f"Bearer {token}")
    life_s, tokens.life_s = tokens.life_s, -5
    try:
        client.world.clock.skew_s = -60.0
        token = client.ask()[1]["access_token"]
        client.world.clock.skew_s = 0.0
        with pytest.raises(TokenError, match="expired"):
            tokens.verify(f"Bearer {token}")
    finally:
        tokens.life_s = life_s


def test_discovery(client: Client) -> None:
    """The tenant's document points at the host it was asked at."""
    answer = client.world.login.discover_tenant("https://login.example", client.tenant.id)
    assert answer.body["token_endpoint"] == f"https://login.example/{client.tenant.id}/oauth2/v2.0/token"
    assert client.world.login.discover_tenant("https://login.example", "nobody").body["error_codes"] == [90002]


def test_a_tenant_consents_and_takes_it_back(make_desk: Any) -> None:
    """Each for itself: by the page that a ticket's link leads to, and by the control API."""
    world = make_desk(tenants=2, shared_app=True, unconsented=True).world
    control, (tenant, app) = Control(world), world.apps[1]
    link = f"client_id={app.client_id}"

    def code() -> int:
        form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": secret, "scope": SCOPE}
        body = world.login.token(tenant.id, form, URL, "correlation", world.sign_in).body
        return int(body.get("error_codes", [0])[0])

    secret = next(iter(app.secrets))
    status, shown = admin_consent(world.directory, "GET", tenant.id, link)
    assert (status, "has not consented yet" in shown, "User.Invite.All" in shown) == (200, True, True)
    assert code() == 700016
    assert admin_consent(world.directory, "POST", "tenant0002.example", link)[0] == 200
    assert (code(), world.apps[0][1].consented) == (0, False)
    body = orjson.dumps({"tenant_id": "tenant0002.example", "action": "withdraw"})
    assert control.answer("POST", "consent", "", "application/json", body)[0] == 200
    assert code() == 700016
    assert admin_consent(world.directory, "POST", tenant.id, "client_id=x")[0] == 400
    assert control.answer("POST", "consent", "", "application/json", b"{}")[0] == 400


def test_a_certificate_of_a_shared_application_counts_in_every_tenant(make_desk: Any) -> None:
    """There is one registration. So it is after a reset; an application of its own has its own."""
    pem = make_certificate("usher msp", 30).public_pem
    made, body = read_app_certificate(pem), orjson.dumps({"pem": pem.decode()})
    for shared in (True, False):
        world = make_desk(tenants=2, shared_app=shared).world
        assert Control(world).answer("POST", "certificate", "", "application/json", body)[0] == 200
        world.reset()
        assert [made in app.certificates for _, app in world.apps] == [True, shared]


def test_secrets_and_trusts_of_a_shared_application_are_its_registration(make_desk: Any) -> None:
    """Whichever tenant is named; whether it may sign in is each tenant's own."""
    world = make_desk(tenants=2, shared_app=True).world
    control, (first, second) = Control(world), (app for _, app in world.apps)
    for name, asked in (
        ("secret", {"action": "rotate", "tenant_id": "tenant0002.example"}),
        ("federation", {"action": "trust", "subject": "s", "tenant_id": "tenant0002.example"}),
        ("secret", {"action": "disable", "tenant_id": "tenant0002.example"}),
    ):
        assert control.answer("POST", name, "", "application/json", orjson.dumps(asked))[0] == 200
    assert (first.secrets, first.federated) == (second.secrets, second.federated)
    assert (len(first.federated), first.enabled, second.enabled) == (1, True, False)


def test_the_help_says_the_command_and_its_defaults() -> None:
    """As whoever reads it typed it."""
    shown = " ".join(build_parser().format_help().split())
    for words in ("usage: usher sandbox", "seconds an access token lives (default: 3599.0)", "(default: 0-2)"):
        assert words in shown
    for words in ("python -m", "(default: None)", "(default: False)", "free one (default: 0) (default"):
        assert words not in shown
