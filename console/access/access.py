"""What access is decided with: the sessions, the wrong tokens, Entra's keys and its sign-in; one of
each in a process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.access.sessions import Sessions
from console.access.tries import Tries
from worker.ledger.programs.token_need import TokenNeed
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
    need: TokenNeed
    signing_keys: SigningKeys = field(default_factory=SigningKeys)
    people: PeopleSignIn = field(default_factory=PeopleSignIn)


def access_of(request: Request) -> Access:
    """Return the parts of the process that answers a request; made when somebody first asks."""
    state = request.app.state
    found = getattr(state, "access", None)
    if found is None:
        services = state.services
        client, keys = services.client, services.keys
        found = Access(Sessions(services), Tries(client, keys), services.trail, TokenNeed(client, keys))
        state.access = found
    assert isinstance(found, Access)
    return found
