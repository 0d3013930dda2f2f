"""Connections that had jobs here are in the configuration no longer: somebody took them out, or a
list was cut. What is left for them waits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.connections import SANDBOX
from tasks.connections import faulty_names
from tasks.telling.words import many
from worker.channels import NOBODYS, split_channel
from worker.ledger.gates import HoldReason

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.services import Services

_NEWEST = 1000  # jobs looked through for those that wait


@dataclass(frozen=True, slots=True)
class GoneConnection:
    """A connection that is configured no longer. `jobs`: those of it that wait; `held`: why an
    operator holds it, '' where nobody does; `looked_in`: which configuration is in force.
    """

    name: str
    jobs: int
    held: str = ""
    looked_in: str = ""

    @property
    def waits(self) -> bool:
        """Whether somebody is to do something about it."""
        return bool(self.jobs or self.held)

    def describe(self) -> str:
        """Return what is so, and what to do."""
        jobs = f", and {many(self.jobs, 'job')} of it {'waits' if self.jobs == 1 else 'wait'}" if self.jobs else ""
        held = (
            f" It is held ({self.held}): where its line has another name now, that is held at its first job, and"
            f" usher connections reopen of that lifts both."
            if self.held
            else ""
        )
        return (
            f"{self.name} is in the configuration no longer{jobs}. {self.looked_in}{held} Put it back, or give the"
            f" command where it is configured (USHER_CONFIG names a file). Only if its customer has left for good:"
            f" usher connections forget {self.name}"
        )


async def find_gone(services: Services) -> list[GoneConnection]:
    """Return them by name; none while nobody knows which there are."""
    if services.settings().unread:
        return []
    client = services.client
    found = {split_channel(raw.decode())[0] for raw in await client.smembers(services.keys.connections())}
    settings = services.settings()
    gone = found - {NOBODYS, SANDBOX, *settings.connections, *faulty_names(settings)}
    if not gone:
        return []
    views = await services.jobs.listed(newest=_NEWEST)
    waiting = Counter(view.connection for view in views if not view.ended)
    gates = await services.gates.of_many(sorted(gone))
    held = {name: gate.why for name, gate in gates.items() if gate.kind is HoldReason.OPERATOR}
    looked_in = _looked_in(settings)
    return [GoneConnection(name, waiting[name], held.get(name, ""), looked_in) for name in sorted(gone)]


def _looked_in(settings: Settings) -> str:
    """Say which configuration is in force: state is one for an account, the file is a folder's."""
    if settings.source is None:
        return "No configuration file is in force here: this folder has no usher.toml."
    beside = f", with the list {settings.listed.path}" if settings.listed else ""
    return f"The configuration in force is {settings.source}{beside}."


def gone_words(settings: Settings, connection: str) -> str:
    """Return why a job of a connection waits that is configured no longer, '' where it is."""
    if connection == SANDBOX or connection in settings.connections:
        return ""
    if settings.unread:
        return f"What is left waits until the list of connections can be read again. {settings.unread[0]}"
    if faults := [fault for line in settings.faulty if line.name == connection for fault in line.faults]:
        return f"What is left waits until its line in the list of connections is good again. {' '.join(faults)}"
    return (
        f"{connection} is in the configuration no longer: what is left waits until it is there again."
        f" {_looked_in(settings)}"
    )
