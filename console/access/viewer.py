"""A viewer is whoever a request comes from, a person or a program, with one role. Pure but for the
account that this process runs under.

The roles are Entra's app roles of the console; each holds those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from config.console import Producer
from tasks.producers import bound, is_its_own
from worker.ledger.approval import Person, submitter_of
from worker.ledger.audit.account import find_person
from worker.producers import info_of


class Role(IntEnum):
    """What a viewer may do; `VIEW < SUBMIT < APPROVE < OPERATE`."""

    VIEW = 1
    SUBMIT = 2
    APPROVE = 3
    OPERATE = 4

    @property
    def word(self) -> str:
        """The value of the app role in Entra."""
        return self.name.lower()

    @classmethod
    def highest(cls, words: Iterable[object]) -> Role | None:
        """Return the highest role that a token's `roles` claim names, None where it names none."""
        known = {role.word: role for role in cls}
        return max((known[word] for word in words if isinstance(word, str) and word in known), default=None)


class Kind(StrEnum):
    """By which credential a viewer came."""

    LOCAL = "local"
    """None: whoever uses this machine, while no sign-in is configured."""
    PERSON = "person"
    """Signed in with Entra."""
    PROGRAM = "program"
    """An Entra access token."""
    PRODUCER = "producer"
    """A producer's token."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever a request comes from. `person` is what jobs and the audit trail keep of them."""

    kind: Kind
    role: Role
    person: Person
    bound: Producer | None = None
    """The producer that it is: it sees and changes its own jobs only, and what it may use is
    bound.
    """

    @property
    def producer(self) -> str | None:
        """The producer's name, None where it is none."""
        return self.bound.name if self.bound else None

    @property
    def name(self) -> str:
        """Return what a page calls them."""
        return self.person.name

    @property
    def actor(self) -> str:
        """Return whom the audit trail names."""
        return submitter_of(self.to_info())

    @property
    def local(self) -> bool:
        """Whether nobody signed in, because no sign-in is configured."""
        return self.kind is Kind.LOCAL

    def can(self, role: Role) -> bool:
        """Tell whether they have at least this role."""
        return self.role >= role

    def sees(self, info: Mapping[str, Any]) -> bool:
        """Tell whether they may know of the job with this `info`: a producer only of its own."""
        return is_its_own(self.bound, info)

    def refusal(self, connection: str, operation: str = "") -> str:
        """Return why they may not use a connection for an operation, '' where they may."""
        return bound(self.bound, connection, operation)

    def to_info(self) -> dict[str, str]:
        """Return what a job that they submit keeps of them."""
        return info_of(self.bound) if self.bound else self.person.to_info()


def local_operator() -> Viewer:
    """Return the viewer that everybody on this machine is while no sign-in is configured: the
    account that runs the console.
    """
    return Viewer(Kind.LOCAL, Role.OPERATE, find_person())


def of_producer(producer: Producer) -> Viewer:
    """Return the viewer that a producer's token makes: it submits, and changes its own jobs."""
    return Viewer(Kind.PRODUCER, Role.SUBMIT, Person(f"producer {producer.name}", ""), producer)
