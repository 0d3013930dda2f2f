"""A connection signs in with credentials, and gets a token. Secrets are read where they are used,
each time anew.

A rotated secret or certificate file counts from the next sign-in: nothing is kept beyond its
fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from config.secrets import Secret
from worker.errors import TokenRefused
from worker.signin.claims import read_claims
from worker.signin.kinds import assertion, certificate, managed_identity, secret
from worker.signin.kinds.kind import Credential

if TYPE_CHECKING:
    from config.connections import Connection

REFRESH_AHEAD_S = 300.0
"""A new token is fetched this long before the old one ends, a fifth of its life at most."""

LAST_USE_S = 30.0
"""A token that ends within this (or a twentieth of its life) is not handed out: a request takes up
to 25 s to be looked at.
"""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token. `roles` are what the token claims to allow, a hint only; None where it
    cannot be read.

    `fingerprint` names the credential that bought it.
    """

    secret: Secret
    expires_at: datetime
    roles: frozenset[str] | None
    fingerprint: str
    issued_at: datetime

    def is_usable(self, now_s: float) -> bool:
        """Tell whether a request sent at `now_s` (epoch seconds) still meets a valid token."""
        return self._left_s(now_s) > min(LAST_USE_S, self._life_s / 20)

    def is_due(self, now_s: float) -> bool:
        """Tell whether it is time to fetch the next one."""
        return self._left_s(now_s) < min(REFRESH_AHEAD_S, self._life_s / 5)

    @property
    def _life_s(self) -> float:
        return (self.expires_at - self.issued_at).total_seconds()

    def _left_s(self, now_s: float) -> float:
        return self.expires_at.timestamp() - now_s


def make_token(text: str, *, issued_s: float, life_s: float, fingerprint: str) -> AccessToken:
    """Return a token from what the sign-in service gave: the text and its life in seconds."""
    issued_at = datetime.fromtimestamp(issued_s, UTC)
    expires_at = datetime.fromtimestamp(issued_s + life_s, UTC)
    return AccessToken(Secret(text), expires_at, read_roles(text), fingerprint, issued_at)


def read_roles(token: str) -> frozenset[str] | None:
    """Return the `roles` claim of a token, or None where there is none to read."""
    roles = read_claims(token).get("roles")
    if not isinstance(roles, list):
        return None
    return frozenset(role for role in roles if isinstance(role, str))


def load_credentials(connection: Connection) -> list[Credential]:
    """Return the connection's credentials in the order in which they are tried. Blocking: reads
    files.

    One that cannot be read is passed over while another can. Raises `TokenRefused` (code
    `credential_unreadable`) when none can.
    """
    found = [one for load in _KINDS for one in load(connection)]
    if credentials := [one for one in found if isinstance(one, Credential)]:
        return credentials
    sentence = " ".join(str(one) for one in found) or f"The connection {connection.name} has no credential."
    raise TokenRefused(sentence, code="credential_unreadable")


_KINDS = (secret.load, certificate.load, assertion.load, managed_identity.load)
