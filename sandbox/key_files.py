"""Azure Arc's agent lets those ask for a token who can read a file: it answers a first request with
the name of a new one, and the second brings what is written there.

https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication
"""

from __future__ import annotations

import secrets
from pathlib import Path

REAL = Path("/var/opt/azcmagent/tokens")
"""Where the agent of a Linux server keeps them, and where alone MSAL looks."""


class KeyFiles:
    """The files that were written and not asked with yet; each is good for one request."""

    def __init__(self) -> None:
        self.folder = REAL
        self._files: dict[str, Path] = {}

    def write(self) -> Path:
        """Write a new one. Raises OSError where this account may not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        key = secrets.token_urlsafe(32)
        path = self.folder / f"{secrets.token_hex(16)}.key"
        path.touch(mode=0o640)
        path.write_text(key, encoding="ascii")
        self._files[key] = path
        return path

    def take(self, authorization: str) -> bool:
        """Whether an `Authorization` brings the content of one, which ends by that."""
        path = self._files.pop(authorization.removeprefix("Basic "), None)
        if path is None:
            return False
        path.unlink(missing_ok=True)
        return True

    def clear(self) -> None:
        """Remove those that nobody asked with."""
        for path in self._files.values():
            path.unlink(missing_ok=True)
        self._files.clear()
