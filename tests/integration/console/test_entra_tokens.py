"""Programs bring access tokens of Entra, played by the sandbox; some are not what they seem."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.integration.console.conftest import SignInSite

OTHER = "00000000-0000-4000-8000-00000000000f"
LONG_BEFORE, LONG_AFTER = 1_700_000_000, 4_000_000_000


async def _ask(signing: SignInSite, token: str, path: str = "/v1/who") -> httpx.Response:
    browser = signing.browser()
    return await browser.site.get(path, headers={"Authorization": f"Bearer {token}"})


def _bought(signing: SignInSite) -> str:
    """A token that a program buys at Entra with its own secret, as docs/console-signin.md says."""
    ready = signing.sandbox.ready
    form = {
        "grant_type": "client_credentials",
        "client_id": ready["client_id"],
        "client_secret": signing.sandbox.secret,
        "scope": f"api://{ready['console']['client_id']}/.default",
    }
    url = f"{ready['authority']}/oauth2/v2.0/token"
    answer = httpx.post(url, data=form, verify=signing.entra_context, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def test_a_token_that_a_program_buys_opens(signing: SignInSite) -> None:
    """It may do what its role says, and the audit trail names the application."""
    ready, token = signing.sandbox.ready, _bought(signing)
    told = (await _ask(signing, token)).json()
    assert (told["role"], told["kind"]) == ("submit", "program")
    assert told["acting"].startswith(f"{ready['client_id']} (")
    assert told["acting"].endswith(f"@{ready['tenant_id']})")
    headers = {"Authorization": f"Bearer {token}"}
    browser = signing.browser()
    assert (await browser.site.post("/v1/change", headers=headers)).status_code == 200
    assert (await browser.site.post("/v1/operate", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": LONG_BEFORE}, "it has expired"),
        ({"nbf": LONG_AFTER, "iat": LONG_AFTER}, "it does not hold yet"),
        ({"aud": "https://graph.microsoft.com"}, "it is meant for somebody else"),
        ({"aud": None}, "it has no aud"),
        ({"iss": "https://login.microsoftonline.com/x/v2.0"}, "another issuer has made it"),
        ({"iss": None}, "it has no iss"),
        ({"exp": None}, "it has no exp"),
        ({"tid": OTHER}, "it is of a tenant that may not come"),
        ({"tid": None}, "it is of a tenant that may not come"),
        ({"tid": ["x"]}, "it is of a tenant that may not come"),
        ({"oid": None}, "it has no oid"),
        ({"oid": "ada"}, "it is not of version 2.0"),
        ({"ver": "1.0"}, "it is not of version 2.0"),
        ({"azp": None}, "it is an id token"),
        ({"nonce": "x"}, "it is an id token"),
    ],
)
async def test_a_token_with_one_wrong_claim_opens_nothing(
    signing: SignInSite, claims: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All of them are signed as they should be. The log says what is wrong, the answer does not."""
    token = signing.mint(claims=claims)
    answer = await _ask(signing, token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert why in caplog.text
    assert why not in answer.text
    assert token[:40] not in caplog.text + answer.text


@pytest.mark.parametrize("forge", ["none", "hs256", "stranger"])
async def test_a_forged_token_opens_nothing(signing: SignInSite, forge: str) -> None:
    """Without a signature; signed with the public key as if it were a secret; by somebody else."""
    assert (await _ask(signing, signing.mint(forge=forge, claims={"roles": ["operate"]}))).status_code == 401


async def test_a_changed_token_opens_nothing(signing: SignInSite) -> None:
    """Neither its claims nor its header may be touched."""
    head, body, signature = _bought(signing).split(".")

    def encode(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    def decode(text: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return found

    header = decode(head)
    for token in (
        f"{head}.{encode({**decode(body), 'roles': ['operate']})}.{signature}",
        f"{encode({**header, 'alg': 'none'})}.{body}.",
        f"{encode({**header, 'alg': 'RS512'})}.{body}.{signature}",
        f"{encode({**header, 'kid': '../../etc/passwd'})}.{body}.{signature}",
        f"{encode({**header, 'kid': 7})}.{body}.{signature}",
        f"{encode({**header, 'jwk': {'kty': 'RSA', 'n': 'AQAB', 'e': 'AQAB'}})}.{body}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        "..",
        "e30.e30.e30",
        f"{head}.{base64.urlsafe_b64encode(b'[' * 5000).decode()}.x",
        f"{head}.{base64.urlsafe_b64encode(b'{' * 5000).decode()}.{signature}",
    ):
        assert (await _ask(signing, token)).status_code == 401


async def test_an_id_token_is_no_access_token(signing: SignInSite) -> None:
    """It is made for the same application, and a browser has had it in its hands."""
    token = signing.mint(address="ada@contoso.example")
    assert (await _ask(signing, token)).status_code == 401


@pytest.mark.parametrize("roles", [None, [], ["admin"], "operate", {"operate": 1}])
async def test_a_token_without_a_role_may_do_nothing(signing: SignInSite, roles: Any) -> None:
    """Entra gives any application of the tenant a token; the roles decide."""
    answer = await _ask(signing, signing.mint(claims={"roles": roles}))
    assert answer.status_code == 403
    assert "has no role here" in answer.json()["detail"]


async def test_names_in_a_token_break_no_line(signing: SignInSite, caplog: pytest.LogCaptureFixture) -> None:
    """Log and header injection by what a token calls its bearer."""
    evil = "Ada\r\nSet-Cookie: a=b\u2028\x1b[2J\x00" + "x" * 500
    told = (await _ask(signing, signing.mint(claims={"name": evil}))).json()
    name = told["acting"].partition(" (")[0]
    assert name.isprintable()
    assert len(name) <= 64
    answer = await _ask(signing, signing.mint(claims={"name": evil, "roles": []}))
    assert answer.json()["detail"].isprintable()
    assert "set-cookie" not in answer.headers


async def test_keys_are_rolled_over(signing: SignInSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key is fetched when a token names it; one that was taken back opens nothing once the
    keys are looked at again.
    """
    monkeypatch.setattr("worker.signin.signing_keys.AGAIN_S", 0)
    old = _bought(signing)
    assert (await _ask(signing, old)).status_code == 200
    signing.sandbox.ask("signin", {"action": "roll", "keep_old": True})
    new = _bought(signing)
    assert [(await _ask(signing, token)).status_code for token in (new, old)] == [200, 200]
    signing.sandbox.ask("signin", {"action": "roll"})
    assert (await _ask(signing, _bought(signing))).status_code == 200
    assert [(await _ask(signing, token)).status_code for token in (new, old)] == [401, 401]


async def test_unknown_keys_do_not_make_us_ask_for_ever(signing: SignInSite) -> None:
    """Whoever sends tokens with made-up keys costs Entra one question."""
    assert (await _ask(signing, _bought(signing))).status_code == 200
    before = _discoveries(signing)
    signing.sandbox.ask("signin", {"action": "roll"})
    for _ in range(5):
        assert (await _ask(signing, signing.mint())).status_code == 401
    assert _discoveries(signing) == before


def _discoveries(signing: SignInSite) -> int:
    return len([one for one in signing.sandbox.ask("requests?operation=discovery") if "/keys" in one["path"]])


async def test_another_tenant_comes_only_where_it_is_named(signing: SignInSite) -> None:
    """`allowed_tenants`; what is not named is refused before anything is fetched."""
    text = signing.config.read_text()
    tenant = signing.sandbox.ready["tenant_id"]
    token = signing.mint()
    signing.config.write_text(text.replace(f'tenant_id = "{tenant}"', f'tenant_id = "{OTHER}"'))
    assert (await _ask(signing, token)).status_code == 401
    signing.config.write_text(
        text.replace(f'tenant_id = "{tenant}"', f'tenant_id = "{OTHER}"\nallowed_tenants = ["{tenant}"]')
    )
    assert (await _ask(signing, token)).status_code == 200
    browser = signing.browser()  # people of several tenants sign in at one address
    assert "/organizations/" in (place := await browser.begin())
    assert (await browser.bring(await browser.choose(place, "grace@"))).status_code == 303
    assert (await browser.site.get("/")).json()["name"] == "Grace Hopper"


async def test_an_entra_that_is_away_is_told(signing: SignInSite) -> None:
    """A token that nobody can judge is not refused, but to be brought again."""
    token = signing.mint()
    authority = signing.sandbox.ready["console"]["authority"]
    text = signing.config.read_text().replace(authority, "https://127.0.0.1:9")
    signing.config.write_text(text)
    answer = await _ask(signing, token)
    assert answer.status_code == 503
    assert "signing keys cannot be fetched" in answer.json()["detail"]
