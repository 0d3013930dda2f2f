"""One tenant is asked, or several: `-c` takes names, `tag:TAG` and `all`. Where several are meant,
what is told of each begins with its connection, and one that cannot be asked is a sentence.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from tasks.side_by_side import Unasked
    from worker.services import Services

_T = TypeVar("_T")

tenants_option = click.option(
    "-c",
    "--connection",
    required=True,
    metavar="NAME",
    help="The tenant, as a connection names it; several as A,B, tag:TAG or all.",
)

most_option = click.option(
    "--most", type=click.IntRange(min=0), metavar="N", help="Do nothing at all to more than N guests of a tenant."
)


@dataclass(slots=True)
class Tenants:
    """The tenants that a command reads. `several`: more than one is meant, or may be. `unasked`:
    those that could not be asked.
    """

    terminal: Terminal
    services: Services
    names: Sequence[str]
    several: bool
    unasked: list[Unasked] = field(default_factory=list)
    _read: dict[str, int] = field(default_factory=dict)

    async def ask(self, work: Callable[[Connection], Awaitable[_T]]) -> AsyncGenerator[tuple[str, _T]]:
        """Yield what is found in each tenant, in their order. Of a single one whatever stands
        against it is raised.
        """
        from tasks.side_by_side import Unasked, ask_each

        async def one(name: str) -> _T:
            return await work(await self.services.resolved(name))

        if not self.several:
            yield self.names[0], await one(self.names[0])
            return
        each = ask_each(self.names, one)
        try:
            async for name, found in each:
                if isinstance(found, Unasked):
                    self.unasked.append(found)
                else:
                    yield name, found
                self._read.pop(name, None)
        finally:
            await each.aclose()

    def hear(self, name: str, what: str) -> Callable[[int, int | None], None]:
        """Return what is told how many (`what`: guests) of one tenant were read, of how many."""
        from tasks.telling.words import many, number

        def heard(read: int, total: int | None) -> None:
            if not self.several:
                self.terminal.count(f"{number(read)}{f' of {number(total)}' if total is not None else ''} {what} read")
                return
            self._read[name] = read
            now = many(len(self._read), "connection")
            self.terminal.count(
                f"Reading {now} of {number(len(self.names))}: {number(sum(self._read.values()))} {what}"
            )

        return heard

    def told_as(self, name: str, warning: str) -> str:
        """Return a sentence about one tenant, after its connection's name where there are more."""
        return f"{name}: {warning}" if self.several else warning

    def end(self) -> int:
        """Say which could not be asked; returns the exit status. Raises `Refusal` for all."""
        from tasks.forecast.several import say_once

        self.terminal.status("")
        for sentence in say_once((one.connection, one.why) for one in self.unasked):
            self.terminal.warn(sentence)
        if len(self.unasked) == len(self.names):
            raise Refusal("No tenant could be asked; each is named above.")
        return 1 if self.unasked else 0

    def describe_unasked(self) -> dict[str, Any]:
        """Return what `--json` says of those that could not be asked; nothing of a single one."""
        told = [{"connection": one.connection, "why": one.why} for one in self.unasked]
        return {"unasked": told} if self.several else {}


def open_tenants(terminal: Terminal, place: Place, services: Services, text: str) -> Tenants:
    """Return the tenants that are meant, and have the sandbox run where it is among them. Raises
    `UnknownConnection`, `ConfigError` and `StackError`.
    """
    from config.connections import means_several

    several = means_several(text)
    names = place.settings.choose(text) if several else [text]
    for name in names:
        place.need_sandbox(name)
    return Tenants(terminal, services, names, several)
