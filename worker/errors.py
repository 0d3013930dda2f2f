"""Errors are what can go wrong as a whole; a guest that Graph refuses is an outcome
(`worker.graph.verdicts`), never an exception.

    UsherError
    ├── TokenError
    │   ├── TokenRefused          a person must act: wrong secret, no such tenant
    │   └── TokenUnavailable      passes by itself: the sign-in service or the way to it is down
    ├── LedgerError
    │   ├── LedgerUnavailable     Redis does not answer
    │   ├── LedgerUnsuitable      Redis may not keep what we write (old, evicting)
    │   ├── LedgerTooNew          written by a newer usher
    │   ├── LedgerFull            Redis has no room for what is to be kept
    │   └── LedgerBusy            what was asked for must wait for a job that has not ended
    ├── SealError
    │   ├── SealBroken            a sealed value that none of the ledger keys opens
    │   └── KeyUnusable           a ledger key that is too short to be one
    ├── MailUnusable              a mail cannot be written: its template or its sender is wrong
    ├── DirectoryUnread           a tenant did not answer what was asked, or may not be asked
    ├── CannotListen              the metrics cannot be served where they were wanted
    └── WayOutUnusable            what is said about TLS and proxies cannot be followed
        ├── TrustUnusable         a file with trusted certificates that cannot be read
        └── ProxyUnusable         a proxy's address that is none

The docstring of a class is its sentence when nothing better is known. `str()` is for people; none
of these ever holds a secret, a token or an address. They survive pickling, because Celery may carry
them between processes.
"""

from __future__ import annotations

from typing import Any


class UsherError(Exception):
    """usher could not go on."""

    def __init__(self, sentence: str = "") -> None:
        self.sentence = sentence or (type(self).__doc__ or "").strip()
        super().__init__(self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the sentence; the default hands `args` to a subclass that wants more."""
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(kind: type[UsherError], state: dict[str, Any]) -> UsherError:
    error = kind.__new__(kind)
    Exception.__init__(error, state.get("sentence", ""))
    error.__dict__.update(state)
    return error


class TokenError(UsherError):
    """No access token could be had."""


class TokenRefused(TokenError):
    """Microsoft Entra refused the sign-in; check the connection's tenant id, client id and
    credential.
    """

    def __init__(self, sentence: str = "", *, code: str = "", fingerprint: str = "") -> None:
        """`code` is Entra's ("AADSTS7000215") or ours in snake_case; `fingerprint` names the
        credential that was tried.
        """
        super().__init__(sentence)
        self.code = code
        self.fingerprint = fingerprint


class TokenUnavailable(TokenError):
    """The sign-in service cannot be reached just now; usher tries again by itself."""

    def __init__(self, sentence: str = "", *, retry_after_s: float | None = None, code: str = "") -> None:
        """`retry_after_s`: the service's own word on when to ask again; None where it gave none."""
        super().__init__(sentence)
        self.retry_after_s = retry_after_s
        self.code = code


class LedgerError(UsherError):
    """The ledger in Redis cannot be used."""


class LedgerUnavailable(LedgerError):
    """Redis does not answer; usher goes on when it is back."""


class LedgerUnsuitable(LedgerError):
    """This Redis may lose what usher writes; it needs Redis 7.0 or Valkey 7.2 or newer, with AOF
    and `noeviction`.
    """


class LedgerTooNew(LedgerError):
    """The ledger was written by a newer usher; update this one."""


class LedgerFull(LedgerError):
    """Redis has no room for this list; nothing was sent. Whoever runs this Redis raises its
    maxmemory.
    """


class LedgerBusy(LedgerError):
    """A job that has not ended still needs this; wait for its end."""


class SealError(UsherError):
    """A sealed value cannot be used."""


class SealBroken(SealError):
    """A value in the ledger was sealed with a key that is not in [ledger].key, or it was changed
    afterwards.
    """


class KeyUnusable(SealError):
    """A ledger key needs 16 characters or more; `usher` can make one."""


class MailUnusable(UsherError):
    """A mail cannot be written; whoever runs usher corrects its template or its sender."""

    def __init__(self, sentence: str = "", *, is_template: bool = True) -> None:
        """`is_template`: no guest's mail can be written; else this one's alone."""
        super().__init__(sentence)
        self.is_template = is_template


class DirectoryUnread(UsherError):
    """A tenant did not answer what was asked; try again later."""

    def __init__(self, sentence: str = "", *, missing: str = "") -> None:
        """`missing`: the permission without which a part alone cannot be read."""
        super().__init__(sentence)
        self.missing = missing


class CannotListen(UsherError):
    """The metrics cannot be served there; choose another address with --listen."""


class WayOutUnusable(UsherError):
    """The settings for TLS or proxies cannot be followed."""


class TrustUnusable(WayOutUnusable):
    """A file with trusted certificates cannot be used."""


class ProxyUnusable(WayOutUnusable):
    """The proxy that HTTPS_PROXY names cannot be used; it must look like http://host:port."""
