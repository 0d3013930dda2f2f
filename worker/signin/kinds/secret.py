"""A client secret: a text that Entra made, read anew for each sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from config.errors import ConfigError
from worker.signin.kinds.kind import Credential, fingerprint

if TYPE_CHECKING:
    from config.connections import Connection


def load(connection: Connection) -> Iterator[Credential | str]:
    """Yield the secrets in the order in which they are tried."""
    for reference in connection.client_secret:
        try:
            secret = reference.resolve().reveal()
        except ConfigError as error:
            yield str(error)
        else:
            yield Credential(fingerprint("secret", secret.encode("utf-8", "surrogatepass")), secret)
