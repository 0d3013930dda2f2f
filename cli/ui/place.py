"""The ledger is opened for a command: the private stack, held for the command's life, or the Redis
that the configuration names.

Jobs of the private stack run while somebody follows them. One that is running and followed by
nobody was left by a command that was killed: it is paused before this command's own worker starts,
and named, and waits for `usher jobs resume`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from config.reader import load_settings
from config.watch import Watched

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.ledger.job_view import JobView
    from worker.services import Services
    from worker.stack.attachment import Attachment

_LOOK_BACK = 200  # newest jobs looked through for unfinished ones
_ABANDONED = timedelta(hours=1)
"""A list that is still loading after this, with nobody at it, is given up: somebody may type one on
standard input for minutes.
"""


_MOST_FAULTS = 3  # of a list that cannot be read, told by each command

_ANSWER_S = 20.0
"""Longer than a failover behind Sentinel mostly takes; shorter than anybody looks at a command that
says nothing.
"""


@dataclass(slots=True)
class Place:
    """Where a command works. `private`: on a stack of this machine; `up`: one that `usher up` keeps
    running.
    """

    watched: Watched
    private: bool
    up: bool
    hold: Attachment | None = None
    warnings: list[str] = field(default_factory=list)
    """What is not as it should be with the server, once `services` was entered."""
    _earlier: list[Attachment] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self.watched.settings

    @property
    def runs_on(self) -> bool:
        """Whether a job goes on here when no command follows it."""
        return self.up or not self.private

    @property
    def unread(self) -> str:
        """What is to be said where the list of connections cannot be read, in short; else ''."""
        *faults, means = self.settings.unread or ("",)
        more = [f"And {len(faults) - _MOST_FAULTS} more: usher doctor."] if len(faults) > _MOST_FAULTS else []
        return " ".join((*faults[:_MOST_FAULTS], *more, means))

    def is_built_in(self, connection: str) -> bool:
        """Whether that name means the built-in sandbox here."""
        return self.settings.rehearses(connection)

    def need_worker(self, connection: str) -> None:
        """Have a worker here, and the sandbox where the connection is the built-in one. Raises
        `StackError`.

        Behind a Redis of the operator's the workers are the operator's business, and the built-in
        sandbox is refused.
        """
        built_in = self.is_built_in(connection)
        if self.private:
            from worker.stack.attachment import attach

            if self.hold is not None:
                self._earlier.append(self.hold)
            self.hold = attach("worker", sandbox=built_in)
        elif built_in:
            from worker.stack.sandboxed import refuse_sandbox_behind

            refuse_sandbox_behind(self.settings.redis.url, os.environ)

    def need_sandbox(self, connection: str) -> None:
        """Have the sandbox run where it is meant: it runs beside a worker. Raises `StackError`."""
        if self.is_built_in(connection):
            self.need_worker(connection)

    def keep(self) -> list[str]:
        """Stay attached; returns what ended unasked. May block for 20 s. Raises `StackError`."""
        return self.hold.keep() if self.hold is not None else []

    def close(self) -> None:
        """Leave."""
        for hold in (self.hold, *self._earlier):
            if hold is not None:
                hold.close()

    @asynccontextmanager
    async def services(self, *, sealed: bool = True) -> AsyncIterator[Services]:
        """Open the ledger and make sure that it can be one. Raises `ConfigError`,
        `LedgerUnavailable`, `LedgerUnsuitable`.

        `sealed` False: without the ledger's key.
        """
        from worker.ledger.erasing import rewrite_now
        from worker.services import open_services
        from worker.store.client import check_server

        url = self.settings.redis.url or ""
        async with open_services(lambda: self.watched.settings, url, sealed=sealed) as services:
            _, self.warnings = await check_server(services.client, prefix=services.keys.prefix, within_s=_ANSWER_S)
            await services.tenants.recall()
            yield services
            if self.private:
                await rewrite_now(services.client, services.keys)


@contextmanager
def open_place(env: Mapping[str, str] = os.environ) -> Iterator[Place]:
    """Read the configuration and attach to the private server where no Redis is named. Raises
    `ConfigError`, `StackError`.
    """
    watched = Watched(lambda: load_settings(env))
    if not watched.settings.embedded:
        yield Place(watched, private=False, up=False)
        return
    from worker.stack.attachment import attach, is_up

    hold = attach("server", env)
    seen = {**env, **hold.variables}
    place = Place(Watched(lambda: load_settings(seen)), private=True, up=is_up(env), hold=hold)
    try:
        yield place
    finally:
        place.close()


def refuse_to_leave_running(env: Mapping[str, str] = os.environ, *, what: str = "--detach") -> None:
    """Raise `Refusal` where nothing would run a job on after the command has left."""
    from tasks.errors import Refusal
    from worker.stack.attachment import is_up

    if load_settings(env).embedded and not is_up(env):
        raise Refusal(
            f"{what} needs something that goes on running: start `usher up` in another terminal, or name a Redis whose"
            " workers do. Nothing was sent."
        )


def is_alone(place: Place) -> bool:
    """Tell whether no other process can be at work on this ledger: a private stack's only command
    is this one.
    """
    from worker.stack.attachment import read_status

    status = read_status() if place.private and not place.up else None
    return status is not None and set(status.commands) <= {os.getpid()}


async def pause_left_behind(place: Place, services: Services, own: Collection[str] = ()) -> list[JobView]:
    """Pause what was left running on the private stack by commands that were killed; return the
    unfinished jobs of earlier commands.

    `own` are the jobs that this command is about to follow. Jobs that another command follows right
    now are left alone.
    """
    from worker.ledger.model import JobState
    from worker.stack.attachment import read_status

    if place.runs_on:
        return []
    status = read_status()
    attached = set(status.commands if status else ()) - {os.getpid()}
    unfinished = []
    for view in await services.jobs.listed(newest=_LOOK_BACK):
        if view.ended or view.id in own or await services.jobs.follower(view.id) in attached:
            continue
        if view.state is JobState.LOADING and datetime.now(UTC) - view.created_at > _ABANDONED:
            await services.jobs.drop(view.id)  # nothing of it was accepted
        if view.state in (JobState.RUNNING, JobState.HELD) and not view.awaits_approval:
            await services.jobs.pause(view.id, "left by a command that ended")
            view = await services.jobs.view(view.id) or view
        if view.state is JobState.PAUSED or view.waits_for_a_person:
            unfinished.append(view)
    return unfinished
