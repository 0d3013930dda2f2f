from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from sandbox.errors import LoginError
from sandbox.options import Options
from sandbox.serving.signin_pages import authorize
from sandbox.signin.service import SignIn
from sandbox.world import World

URI = "http://localhost:8080/signin/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.fixture
def world() -> Iterator[World]:
    """A sandbox without a network."""
    made = World(Options())
    yield made
    made.close()


def _query(sign_in: SignIn, **more: str) -> str:
    asked = {
        "client_id": sign_in.app.client_id,
        "response_type": "code",
        "redirect_uri": URI,
        "scope": "openid profile",
        "state": "a state",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return urlencode(asked | more)


def _code(world: World, address: str = "ada@contoso.example") -> str:
    tenant = world.apps[0][0]
    user = tenant.find(address)
    assert user
    body = urlencode({"user": user.id}).encode()
    shown = authorize(world.sign_in, "POST", tenant.id, _query(world.sign_in), body)
    assert shown.location.startswith(f"{URI}?")
    told = parse_qs(urlsplit(shown.location).query)
    assert told["state"] == ["a state"]
    return told["code"][0]


def _form(world: World, code: str, /, **more: str) -> dict[str, str]:
    form = {"client_id": world.sign_in.app.client_id, "client_secret": world.sign_in.app.secret, "code": code}
    return form | {"redirect_uri": URI, "code_verifier": VERIFIER, "grant_type": "authorization_code"} | more


def test_a_code_buys_an_id_token_once(world: World) -> None:
    """It is signed with the published key, and carries the nonce, who it is and their roles."""
    tenant = world.apps[0][0]
    form = _form(world, _code(world))
    token = world.sign_in.redeem(tenant.id, form, "https://host")["id_token"]
    keys = jwt.PyJWKSet.from_dict(world.sign_in.keys.published())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token, key, ["RS256"], audience=world.sign_in.app.client_id, issuer=f"https://host/{tenant.id}/v2.0"
    )
    assert (claims["nonce"], claims["name"], claims["roles"]) == ("n", "Ada Lovelace", ["operate"])
    with pytest.raises(LoginError, match="AADSTS54005"):
        world.sign_in.redeem(tenant.id, form, "https://host")


@pytest.mark.parametrize(
    ("more", "number"),
    [
        ({"code_verifier": "another"}, 501481),
        ({"client_secret": "wrong"}, 7000215),
        ({"redirect_uri": "http://localhost:8080/other"}, 500112),
        ({"code": "made-up"}, 70008),
    ],
)
def test_a_code_is_bound_to_its_request(world: World, more: dict[str, Any], number: int) -> None:
    """PKCE, the application's secret and the redirect address."""
    with pytest.raises(LoginError, match=f"AADSTS{number}"):
        world.sign_in.redeem(world.apps[0][0].id, _form(world, _code(world), **more), "https://host")


@pytest.mark.parametrize(
    "more",
    [
        {"redirect_uri": "https://evil.example/signin/callback"},
        {"redirect_uri": "http://localhost:8080/elsewhere"},
        {"client_id": "another"},
        {"response_type": "token"},
        {"code_challenge": ""},
    ],
)
def test_a_wrong_request_sends_nobody_anywhere(world: World, more: dict[str, str]) -> None:
    """It is shown, as Entra shows it."""
    shown = authorize(world.sign_in, "GET", world.apps[0][0].id, _query(world.sign_in, **more), b"")
    assert (shown.status, shown.location) == (400, "")
    assert "AADSTS" in shown.html


def test_the_answer_may_be_a_form(world: World) -> None:
    """form_post: what comes from the request is escaped, and the page may post there alone."""
    tenant = world.apps[0][0]
    query = _query(world.sign_in, response_mode="form_post", state='"><script>')
    shown = authorize(world.sign_in, "POST", tenant.id, query, b"cancel=1")
    assert 'name="error" value="access_denied"' in shown.html
    assert "<script>" not in shown.html
    assert shown.policy.endswith("form-action http://localhost:8080")
