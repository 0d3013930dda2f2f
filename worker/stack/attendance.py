"""Who is attached to the private stack: each command that has a connection open, what it needs, and how long nobody has needed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker.stack.control import dump_message


@dataclass(eq=False, slots=True)
class Client:
    """A command that is attached."""

    pid: int
    writer: asyncio.StreamWriter
    needs_worker: bool
    has_worker: bool = False
    """The running worker is the one it asked for."""

    def tell(self, message: dict[str, Any]) -> None:
        """Send it a message, unless it has gone."""
        if not self.writer.is_closing():
            self.writer.write(dump_message(message))


class Attendance:
    """The books of one stack: who is here. `clock` is the loop's; everything here is of the loop's own thread.

    `grace_s`: how long after the last command the stack, and after the last that needed it the worker, is still kept. A stack that
    nobody has asked anything of yet is kept `first_grace_s` at least.
    """

    def __init__(self, clock: Callable[[], float], grace_s: float, first_grace_s: float = 0.0) -> None:
        self.changed = asyncio.Event()
        """Set whenever somebody comes or goes; whoever waits for it clears it."""
        self._clock = clock
        self._grace_s = grace_s
        self._clients: set[Client] = set()
        self._free_at = clock() + max(grace_s, first_grace_s)
        self._worker_free_at = clock() + grace_s

    @property
    def pids(self) -> list[int]:
        """The process ids of all who are here, sorted."""
        return sorted(client.pid for client in self._clients)

    @property
    def needs_worker(self) -> bool:
        """Whether anybody needs the worker."""
        return any(client.needs_worker for client in self._clients)

    @property
    def free_at(self) -> float:
        """When nobody will have been here for a grace, on the clock; infinite while somebody is here."""
        return float("inf") if self._clients else self._free_at

    @property
    def worker_free_at(self) -> float:
        """When nobody will have needed the worker for a grace, on the clock; infinite while somebody needs it."""
        return float("inf") if self.needs_worker else self._worker_free_at

    def enter(self, client: Client) -> None:
        """A command has attached."""
        self._clients.add(client)
        self.changed.set()

    def leave(self, client: Client) -> None:
        """A command has gone."""
        self._clients.discard(client)
        self._free_at = self._clock() + self._grace_s
        if client.needs_worker:
            self._worker_free_at = self._free_at
        self.changed.set()

    def find_users(self, besides: Client | None = None) -> list[int]:
        """The process ids of those who use the running worker, sorted; `besides` does not count."""
        return sorted(client.pid for client in self._clients if client is not besides and client.has_worker)

    def tell_all(self, why: str) -> None:
        """Give everybody notice."""
        for client in self._clients:
            client.tell({"notice": why})

    def tell_those_who_need_the_worker(self, why: str) -> None:
        """Give notice to whom a worker's trouble concerns."""
        for client in self._clients:
            if client.needs_worker:
                client.tell({"notice": why})

    def close(self) -> None:
        """Close everybody's connection."""
        for client in list(self._clients):
            client.writer.close()
