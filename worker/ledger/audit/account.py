"""The operating system says which account runs this process; an environment's USER is whatever
somebody put there.

Where people share an account (each `docker compose run` is the same one, on a host of its own) they
say who they are with `USHER_ACTOR`. That is a statement, not a proof, so it never stands without
the account that made it.
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from worker.ledger.approval import Person

VARIABLE: Final = "USHER_ACTOR"
_LONGEST: Final = 64
_acting: ContextVar[str] = ContextVar("acting", default="")


def find_person() -> Person:
    """Return the account that runs this process, on this host, by whose `sudo` where it says so,
    and who they state to be.
    """
    behind = os.environ.get("SUDO_USER", "")
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # no name for this user id, as in a container
        user = f"uid-{os.getuid()}"
    stated = " ".join("".join(c if c.isprintable() else " " for c in os.environ.get(VARIABLE, "")).split())[:_LONGEST]
    return Person(user, socket.gethostname(), "" if behind == user else behind, stated)


def find_actor() -> str:
    """Return it for the audit trail: `root@ops1 (sudo by ada)`, `ada (uid-1000@3f2a)`."""
    person = find_person()
    return f"{person} (sudo by {person.behind})" if person.behind else str(person)


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Let the audit trail name somebody else than this process's account for what is done within:
    whoever a request of the console comes from.
    """
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def present_actor() -> str:
    """Return for whom something is done right now, '' where that is this process's account."""
    return _acting.get()
