"""A client assertion: a token of somebody whom the application trusts (its federated credential)
takes the place of a secret. It is a file that somebody rotates, as Kubernetes and CI systems do, or
a token of a managed identity, which so reaches other tenants too.
https://learn.microsoft.com/entra/workload-id/workload-identity-federation
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.clouds import CLOUDS
from worker.errors import TokenRefused, TokenUnavailable
from worker.signin.aadsts import SigninKind
from worker.signin.kinds.kind import Credential, Material, fingerprint
from worker.signin.kinds.managed_identity import ask_platform, explain_platform

if TYPE_CHECKING:
    from config.connections import Connection


@dataclass(frozen=True, slots=True)
class _OfIdentity(Credential):
    """The token of a managed identity, whose client id is the `material`."""

    def proof(self, wire: Any, cloud: str) -> Material:
        """Return who gives the platform's token in the secret's place."""
        name = str(self.material)

        def give() -> str:
            found, status = ask_platform(name, CLOUDS[cloud].exchange, wire)
            text = found.get("access_token")
            if isinstance(text, str) and text:
                return text
            trouble = explain_platform(name, status, "client_assertion")
            failure = TokenUnavailable if trouble.kind is SigninKind.TRANSIENT else TokenRefused
            raise failure(trouble.sentence, code=trouble.code)

        return {"client_assertion": give}


def load(connection: Connection) -> Iterator[Credential | str]:
    """Yield who gives the assertion, if the connection has one. A file is read at each sign-in:
    whoever rotates it asks nobody.
    """
    source = connection.client_assertion
    if source is None:
        return
    name = fingerprint("assertion", source.text.encode())
    if source.identity:
        yield _OfIdentity(name, source.identity)
    elif source.file is not None:
        file = source.file
        yield Credential(name, {"client_assertion": lambda: file.resolve().reveal().strip()})
