"""Where commands come in: the private stack's control socket. What is said there stands in `control`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from worker.stack.attendance import Attendance, Client
from worker.stack.control import MESSAGE_BYTES_MAX, VERSION, Mode, dump_message, parse_message
from worker.stack.crew import Crew
from worker.stack.folders import Folders
from worker.stack.private import private_urls
from worker.stack.provision import Provision

_FIRST_LINE_WITHIN_S = 10.0


class Reception:
    """Answers commands until it is closed. `on_end` is called when one may, and did, ask the stack to end."""

    def __init__(
        self,
        folders: Folders,
        mode: Mode,
        crew: Crew,
        attendance: Attendance,
        provision: Provision,
        on_end: Callable[[], None],
    ) -> None:
        self._folders = folders
        self._mode = mode
        self._crew = crew
        self._attendance = attendance
        self._provision = provision
        self._on_end = on_end
        self._listener: asyncio.Server | None = None
        self._closing = False
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen."""
        # A path that was left by a supervisor that was killed; the lock says that nobody listens there now.
        self._folders.control_socket.unlink(missing_ok=True)
        self._listener = await asyncio.start_unix_server(
            self._serve, self._folders.control_socket, limit=MESSAGE_BYTES_MAX
        )

    def refuse_more(self) -> None:
        """The stack ends: whoever comes from now on finds the line closed, and asks again."""
        self._closing = True

    async def close(self) -> None:
        """Listen no more, and end every talk."""
        self.refuse_more()
        if self._listener is not None:
            self._listener.close()
            self._folders.control_socket.unlink(missing_ok=True)
        self._attendance.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first line until the command has gone."""
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            if self._closing:
                return  # accepted in the last instant
            async with asyncio.timeout(_FIRST_LINE_WITHIN_S):
                message = parse_message(await reader.readline())
            if message.get("v") != VERSION:
                why = f"Another version of usher runs the private stack (process {os.getpid()}): stop it first."
                writer.write(dump_message({"error": why}))
            elif message.get("ask") == "status":
                writer.write(dump_message({"status": self._build_status()}))
            elif message.get("ask") == "end":
                writer.write(dump_message(self._answer_end()))
            elif message.get("ask") == "attach":
                await self._attend(message, reader, writer)
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # the command has gone, or is none of ours
        finally:
            writer.close()
            self._talks.discard(task)

    async def _attend(
        self, message: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Give an attached command what it needs, and keep it in the books until its connection closes."""
        client = Client(int(message.get("pid", 0)), writer, message.get("need") == "worker")
        self._attendance.enter(client)
        # Its own task: a worker half started for a command that was killed is the governor's to end, not a cancellation's.
        giving = asyncio.ensure_future(self._provision.give(client, message))
        gone = asyncio.ensure_future(_read_to_end(reader))
        try:
            await asyncio.wait({giving, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                client.tell(giving.result())
                await gone
        finally:
            gone.cancel()
            if self._closing:
                giving.cancel()
            await asyncio.gather(giving, gone, return_exceptions=True)
            self._attendance.leave(client)

    def _answer_end(self) -> dict[str, Any]:
        """Make way for `usher up`, unless that would take the stack from under somebody."""
        if self._mode == "foreground":
            return {"error": f"`usher up` runs already for {self._folders.state} (process {os.getpid()})."}
        if pids := self._attendance.pids:
            told = ", ".join(map(str, pids))
            return {"error": f"Another usher command uses the private stack (process {told}): wait until it has ended."}
        self._on_end()
        return {"ending": True}

    def _build_status(self) -> dict[str, Any]:
        urls = private_urls(self._folders.server_socket)
        who = {"pid": os.getpid(), "mode": self._mode, "redis_url": urls.redis_url}
        return {**who, "children": self._crew.describe(), "commands": self._attendance.pids}


async def _read_to_end(reader: asyncio.StreamReader) -> None:
    """Return when the command has closed its connection, or was killed."""
    with suppress(OSError):
        while await reader.read(4096):
            pass
