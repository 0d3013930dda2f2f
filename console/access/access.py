"""What access is decided with: the sessions, the wrong tokens, Entra's keys and its sign-in; one of
each in a process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.access.sessions import Sessions
from console.access.tries import Tries
from worker.signin.people import PeopleSignIn
from worker.signin.signing_keys import SigningKeys

if TYPE_CHECKING:
    from starlette.requests import Request

    from worker.ledger.audit.trail import Trail


@dataclass(slots=True)
class Access:
    """The opened parts."""

    sessions: Sessions
    tries: Tries
    trail: Trail
    signing_keys: SigningKeys = field(default_factory=SigningKeys)
    people: PeopleSignIn = field(default_factory=PeopleSignIn)


def access_of(request: Request) -> Access:
    """Return the parts of the process that answers a request; made when somebody first asks."""
    state = request.app.state
    found = getattr(state, "access", None)
    if found is None:
        services = state.services
        found = state.access = Access(Sessions(services), Tries(services.client, services.keys), services.trail)
    assert isinstance(found, Access)
    return found
