"""The registry names every operation that this usher can carry out; an operation's line here is
what makes it known.
"""

from __future__ import annotations

from config.errors import ConfigError
from worker.operations.accounts.binning import Delete, Restore
from worker.operations.accounts.enabling import Disable, Enable
from worker.operations.accounts.undo import Undo
from worker.operations.again.remind import Remind
from worker.operations.again.reset import Reset
from worker.operations.changes.move import Move
from worker.operations.changes.update import Update
from worker.operations.clean.still_due import Clean
from worker.operations.forewarn import Forewarn
from worker.operations.invite import Invite
from worker.operations.mail import SendMail
from worker.operations.members.groups import Groups
from worker.operations.members.leave import Leave
from worker.operations.members.teams import Teams
from worker.operations.operation import Operation
from worker.operations.profile import Profile
from worker.operations.sponsors import Sponsors
from worker.operations.sync.sync import Sync

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        *(Invite(), Profile(), Sponsors(), Groups(), Teams(), Leave(), SendMail()),
        *(Remind(), Disable(), Enable(), Delete(), Restore(), Reset(), Sync(), Clean(), Undo()),
        *(Update(), Move(), Forewarn()),
    )
}


def find_operation(name: str) -> Operation:
    """Return an operation by name. Raises `ConfigError` for one that only a newer usher knows."""
    if name not in OPERATIONS:
        raise ConfigError(f"this usher does not know the operation {name}; a newer one made the job")
    return OPERATIONS[name]
