"""The danger beside every reference: DELETE on a member or sponsor without `/$ref` deletes that
user's account, as Graph does.

https://learn.microsoft.com/graph/api/user-delete-sponsors
"""

from __future__ import annotations

from sandbox import errors
from sandbox.clock import Clock
from sandbox.recorder import Recorder
from sandbox.resources.known import need
from sandbox.resources.routes import Asked, Handler

_DELETE = frozenset({"User.DeleteRestore.All", "User.ReadWrite.All", "Directory.ReadWrite.All"})


class Accounts:
    """Deletes users, into the bin."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {"delete_user": self.delete}

    def delete(self, asked: Asked) -> tuple[int, None]:
        """Delete the user whom the path ends with, whatever it began with."""
        need(asked.caller, _DELETE)
        tenant = asked.caller.tenant
        user = tenant.users.get(asked.names[-1].lower())
        if user is None:
            raise errors.no_such_object(asked.names[-1])
        tenant.remove(user, self._clock.stamp())
        self._recorder.user_changed(tenant, user)
        return 204, None
