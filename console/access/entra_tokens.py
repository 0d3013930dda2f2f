"""A token of Entra is believed when everything about it is right: signature, algorithm, issuer,
audience, times, tenant, roles. Who it speaks for follows from `tid` and `oid`, never from a name.

https://learn.microsoft.com/entra/identity-platform/claims-validation
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import jwt

from config.values import is_guid
from console.access.viewer import Kind, Role, Viewer
from worker.ledger.approval import Person

if TYPE_CHECKING:
    from config.console import ConsoleSection
    from worker.signin.signing_keys import SigningKeys

ALGORITHMS: Final = ("RS256",)
"""What Entra signs with; a token does not choose."""
_LEEWAY_S: Final = 60.0  # between Entra's clock and ours
_REQUIRED: Final = ("exp", "nbf", "iat", "iss", "aud", "tid", "oid", "ver")
_LONGEST: Final = 64


class NotBelieved(Exception):
    """A token is not believed; the sentence says why, for the log, and holds nothing of it."""


class NoRole(Exception):
    """A token is right, and gives no role here. `name`: whom it speaks for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


async def read_id_token(token: str, console: ConsoleSection, keys: SigningKeys) -> Viewer:
    """Return who has signed in. Raises `NotBelieved`, `NoRole`, `TokenUnavailable`."""
    assert console.client_id is not None
    claims = await _believe(token, console, keys, [console.client_id])
    return _viewer(claims, Kind.PERSON)


async def read_access_token(token: str, console: ConsoleSection, keys: SigningKeys) -> Viewer:
    """Return whom a program's access token speaks for. Raises as `read_id_token` does."""
    claims = await _believe(token, console, keys, console.audiences)
    if not claims.get("azp") or "nonce" in claims:
        raise NotBelieved("it is an id token, which opens nothing here")
    return _viewer(claims, Kind.PROGRAM)


async def _believe(token: str, console: ConsoleSection, keys: SigningKeys, audiences: Sequence[str]) -> dict[str, Any]:
    """Return the claims of a token that is right in everything."""
    try:
        header = jwt.get_unverified_header(token)
        named = jwt.decode(token, options={"verify_signature": False, "verify_exp": False, "verify_nbf": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise NotBelieved("it is no token of Entra") from None
    if header.get("alg") not in ALGORITHMS:
        raise NotBelieved("it names another algorithm than Entra's")
    tenant, name = named.get("tid"), header.get("kid")
    if tenant not in console.tenants or not isinstance(name, str):
        raise NotBelieved("it is of a tenant that may not come")
    key = await keys.find(console, tenant, name)
    if key is None:
        raise NotBelieved("no key of its tenant has signed it")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=list(audiences),
            issuer=f"{console.login_url}/{tenant}/v2.0",
            leeway=_LEEWAY_S,
            options={"require": list(_REQUIRED)},
        )
    except jwt.PyJWTError as error:
        raise NotBelieved(_why(error)) from None
    if claims["ver"] != "2.0" or claims["tid"] != tenant or not is_guid(str(claims["oid"])):
        raise NotBelieved("it is not of version 2.0 (requestedAccessTokenVersion of the application)")
    return claims


def _why(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "it has expired"
        case jwt.ImmatureSignatureError():
            return "it does not hold yet"
        case jwt.InvalidAudienceError():
            return "it is meant for somebody else (console.audience)"
        case jwt.InvalidIssuerError():
            return "another issuer has made it, or it is not of version 2.0 (requestedAccessTokenVersion)"
        case jwt.InvalidSignatureError():
            return "its signature is wrong"
        case jwt.MissingRequiredClaimError():
            return f"it has no {error.claim}"
    return "it is no token of Entra"


def _viewer(claims: dict[str, Any], kind: Kind) -> Viewer:
    name = _clean(claims.get("name")) or _clean(claims.get("azp")) or str(claims["oid"])
    account = _clean(claims.get("preferred_username")).partition("@")[0]
    person = Person(str(claims["oid"]), str(claims["tid"]), account, name, sign_in="entra")
    roles = claims.get("roles")
    role = Role.highest(roles) if isinstance(roles, list) else None
    if role is None:
        raise NoRole(name)
    return Viewer(kind, role, person)


def _clean(value: object) -> str:
    """Return a name without line breaks and controls: it goes into logs and the audit trail."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:_LONGEST]
