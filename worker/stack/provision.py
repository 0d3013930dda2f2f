"""What an attached command is given: a server that answers, and where it needs them a sandbox and a worker with its own settings.

There is one worker a stack. A command whose settings differ from the running worker's gets a new one where nobody else uses the
old one; otherwise it is refused with who is in the way.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from worker.stack.attendance import Attendance, Client
from worker.stack.control import Mode
from worker.stack.crew import WORKER_PATIENCE_S, Crew
from worker.stack.environment import COMMAND_LINE, Order, find_differences, tell_differences
from worker.stack.folders import Folders, StackError
from worker.stack.sandboxed import READY_WITHIN_S

SERVER_UP_S = 60.0
"""A server that reads a large append-only file takes its time; a command is told to wait that long."""

SERVER_SLOW_S = 5.0
"""When to tell a command that it will take longer."""

REPLACE_S = WORKER_PATIENCE_S + 20
"""How long a command waits for a worker when an earlier one has to end first."""


class Provision:
    """Gives commands what they ask for, and takes away what nobody needs any more."""

    def __init__(self, folders: Folders, mode: Mode, crew: Crew, attendance: Attendance) -> None:
        self._folders = folders
        self._mode = mode
        self._crew = crew
        self._attendance = attendance
        self._change = asyncio.Lock()  # one change of worker or sandbox at a time

    async def give(self, client: Client, message: dict[str, Any]) -> dict[str, Any]:
        """Provide what a command's `attach` asks for. Returns the answer to it: `ready` or `error`, as in `control`."""
        try:
            await self._wait_for_server(client)
            if client.needs_worker:
                order = Order.from_wire(message["order"])
                if self._change.locked():
                    client.tell({"wait": REPLACE_S, "why": "The worker of an earlier command is finishing its batch."})
                async with self._change:
                    if message.get("sandbox"):
                        await self._provide_sandbox(order)
                    await self._provide_worker(client, order)
        except StackError as error:
            return {"error": str(error)}
        except (KeyError, TypeError) as error:
            return {"error": f"The request could not be read ({error!r})."}
        log = str(self._folders.log("worker"))
        return {
            "ready": {"socket": str(self._folders.server_socket), "pid": os.getpid(), "mode": self._mode, "log": log}
        }

    async def end_worker(self) -> None:
        """End worker and sandbox, unless somebody came meanwhile who needs them."""
        async with self._change:
            if not self._attendance.needs_worker:
                await self._crew.stop("worker")
                await self._crew.stop("sandbox")

    async def _wait_for_server(self, client: Client) -> None:
        waiting = asyncio.ensure_future(self._crew.wait_for_server(SERVER_UP_S))
        try:
            done, _ = await asyncio.wait({waiting}, timeout=SERVER_SLOW_S)
            if not done:
                client.tell({"wait": SERVER_UP_S, "why": "The private server is still reading its data."})
            await waiting
        finally:
            waiting.cancel()

    async def _provide_sandbox(self, order: Order) -> None:
        keeper = self._crew.find("sandbox") or self._crew.start_sandbox(order)
        try:
            await keeper.wait_up(READY_WITHIN_S)
        except StackError:
            await self._crew.stop("sandbox")
            raise

    async def _provide_worker(self, client: Client, order: Order) -> None:
        """A worker that runs with this order; raises `StackError` when somebody else's worker stands in the way."""
        if why := self._find_reason_to_replace(client, order):
            client.tell({"wait": REPLACE_S, "why": why})
            await self._crew.stop("worker")
        keeper = self._crew.find("worker") or self._crew.start_role("worker", order)
        try:
            await keeper.wait_up(5.0)
        except StackError:
            if not self._attendance.find_users():
                await self._crew.stop("worker")
            raise
        client.has_worker = True

    def _find_reason_to_replace(self, client: Client, order: Order) -> str:
        """Why the running worker has to make way for one with this order, '' where it need not.

        Raises `StackError` when it would have to and is somebody else's.
        """
        running = self._crew.worker_order
        if self._crew.find("worker") is None or running is None:
            return ""
        others = self._attendance.find_users(besides=client)
        different = find_differences(running, order)
        if self._mode == "foreground":
            # The operator's own worker: never replaced for a command, and it reads a changed file by itself.
            different = [name for name in different if name != COMMAND_LINE]
            if different:
                raise StackError(
                    f"`usher up` (process {os.getpid()}) runs its worker with other settings ({tell_differences(running, order, different)}): "
                    "use the same here, or stop it and start it again with these."
                )
            return ""
        if different and others:
            raise StackError(
                f"Another usher command (process {others[0]}) runs its worker with other settings ({tell_differences(running, order, different)}): "
                "use the same here, or wait until it has ended."
            )
        if different:
            return "The worker is started again with this command's settings."
        if running.content != order.content and not others:
            # It would read the file by itself, but some seconds late: rows of this command must not go where the old one sent them.
            return "The worker is started again with the changed configuration."
        return ""
