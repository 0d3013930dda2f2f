"""What is done to the guests of several tenants is one command: each tenant is looked at, a few
side by side; one plan with a line a tenant; one question; a job a connection under one submission;
one progress and one status.

A tenant that cannot be asked is a sentence, and a ceiling is of each tenant: neither stops the
others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from cli.follow.follow_and_report import follow_started
from cli.follow.run import Run, dropping_unless_started, get_ready
from cli.ui.confirming import confirm
from cli.ui.lines import Lines
from cli.ui.terminal import build_table
from tasks.errors import Refusal
from tasks.forecast.several import NOBODYS_NAME, say_once
from tasks.side_by_side import Unasked, ask_each
from tasks.submission.together import Together
from tasks.telling.words import many, number
from worker.channels import NOBODYS

if TYPE_CHECKING:
    from worker.services import Services

_NONE = dict.fromkeys(("rows", "done", "already", "skipped", "failed", "in_doubt", "pending", "cancelled"), 0)
_BESIDE = ("skip", "refuse")
"""Of what would become of guests: that nothing is done to them."""


@dataclass(slots=True)
class Looked:
    """What was found of one tenant. `would`: how many guests by what would be done to them; `plan`:
    the same for `--json`; `undone`: the counts of a job that is not started; `ceilings`: those that
    were met; `said`: what somebody has to know. `is_short`: not all that is due can be done;
    `status`: the exit status that follows from it, beside that of its jobs.
    """

    would: Mapping[str, int]
    plan: Mapping[str, Any]
    undone: Mapping[str, int]
    ceilings: Sequence[str] = ()
    said: Sequence[str] = ()
    is_short: bool = False
    status: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of all of them. `dry`: nothing is to be done; `shows`: each guest is shown in
    any case, and not only where somebody looks or decides.
    """

    operation: str
    dry: bool
    yes: bool
    detach: bool = False
    wait_s: float | None = None
    shows: bool = False


Look: TypeAlias = Callable[[str, Together, Lines], Awaitable[Looked]]
"""Looks at one tenant, puts a line a guest, and adds its loaded jobs to the submission, unless
nothing is to be done there.
"""


@dataclass(slots=True)
class _Told:
    """What was found of all tenants, by connection."""

    names: Sequence[str]
    looked: dict[str, Looked] = field(default_factory=dict)
    unasked: list[Unasked] = field(default_factory=list)
    nobodys: int = 0
    twins: Sequence[str] = ()
    """What is said of connections that have one tenant."""

    @property
    def ceilings(self) -> list[str]:
        return sorted({name for one in self.looked.values() for name in one.ceilings})

    @property
    def falls_short(self) -> bool:
        """Whether something that was asked for is not done, and no job waits for it."""
        return any(one.ceilings or one.is_short for one in self.looked.values())

    @property
    def status(self) -> int:
        """The exit status, as far as it does not follow from jobs."""
        return max(int(bool(self.unasked or self.nobodys)), *(one.status for one in self.looked.values()), 0)

    @property
    def guests(self) -> int:
        """To how many guests something would be done."""
        return sum(n for one in self.looked.values() for deed, n in one.would.items() if deed not in _BESIDE)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return headings, and a line a tenant with a total."""
        lines = [(name, one.would) for name, one in self.looked.items()]
        if self.nobodys:
            lines.append((NOBODYS_NAME, {"refuse": self.nobodys}))
        deeds = dict.fromkeys(deed for _, would in lines for deed in would)
        columns = sorted(deeds, key=lambda deed: deed in _BESIDE)
        total = {deed: sum(would.get(deed, 0) for _, would in lines) for deed in columns}
        rows = [[name, *(number(n) if (n := would.get(deed, 0)) else "" for deed in columns)] for name, would in lines]
        rows.append(["together", *map(number, total.values())])
        return ["Connection", *(f"To {deed}" if deed not in _BESIDE else deed.capitalize() for deed in columns)], rows

    def describe(self) -> dict[str, Any]:
        """Return what `--json` has beside the counts."""
        plans = [{"connection": name, **one.plan, "ceilings": list(one.ceilings)} for name, one in self.looked.items()]
        unasked = [{"connection": one.connection, "why": one.why} for one in self.unasked]
        return {"plans": plans, "ceilings": self.ceilings, "unasked": unasked}


async def do_together(
    run: Run,
    services: Services,
    names: Sequence[str],
    wanted: Wanted,
    look: Look,
    load_nobodys: Callable[[Together], Awaitable[None]] | None = None,
    nobodys: int = 0,
) -> int:
    """Do it to the guests of all these tenants, or say what would be done; returns the exit status.
    Raises `Refusal` where no tenant can be asked. `load_nobodys` adds to what is let go the job of
    the rows that are no tenant's, `nobodys` of them.
    """
    session, terminal = run.session, run.terminal
    await get_ready(run, services, next(filter(run.place.is_built_in, names), names[0]))
    together, told = Together(services), _Told(names, nobodys=nobodys)
    shows = wanted.shows or wanted.dry or (terminal.interactive and not wanted.yes)
    told.twins = services.settings().tell_twins(names)
    async with dropping_unless_started(run, together.drop):
        await _look_at_all(run, together, told, look, shows=shows)
        waits_for_yes = wanted.dry and not wanted.yes
        if wanted.dry or not together.loaded:
            await together.drop()
            return _end_undone(run, wanted, told, waits_for_yes=waits_for_yes)
        if terminal.interactive and not wanted.yes and not all(map(run.place.is_built_in, names)):
            whom = f"{many(told.guests, 'guest')} of {many(len(told.looked), 'connection')}"
            confirm(terminal, f"{wanted.operation.capitalize()} {whom}?", "done")
        session.accepted = together.id
        session.told = told.describe()
        if nobodys and load_nobodys is not None:
            await load_nobodys(together)
        places = {name: place for place, name in enumerate([*names, NOBODYS])}
        together.loaded.sort(key=lambda pair: places[pair[0]])
        await together.start()
    status = await follow_started(run, services, together.id, detach=wanted.detach, wait_s=wanted.wait_s)
    return 3 if told.falls_short else max(status, told.status)


async def _look_at_all(run: Run, together: Together, told: _Told, look: Look, *, shows: bool) -> None:
    """Look at each tenant, and tell the plan."""
    terminal, width = run.terminal, max(map(len, told.names))

    async def one(name: str) -> tuple[Looked, Lines]:
        lines = Lines()
        try:
            return await look(name, together, lines), lines
        except BaseException:
            await together.leave_out(name)
            raise

    terminal.status("Asking the tenants")
    async with aclosing(ask_each(told.names, one)) as each:
        async for name, found in each:
            terminal.count(f"{number(len(told.looked) + len(told.unasked) + 1)} of {number(len(told.names))} asked")
            if isinstance(found, Unasked):
                told.unasked.append(found)
                continue
            told.looked[name], lines = found
            if shows:
                terminal.status("")
                lines.show(terminal, f"{name:<{width}}  ")
    terminal.status("")
    for sentence in say_once((one.connection, one.why) for one in told.unasked):
        terminal.warn(sentence)
    if not told.looked:
        raise Refusal("Nothing was done: in each tenant something stands against it, as is said above.")
    headings, rows = told.table()
    (terminal.show if shows else terminal.say)(build_table(headings, rows, right=headings[1:]))
    for sentence in told.twins:
        terminal.warn(sentence)
    for sentence in say_once((name, said) for name, one in told.looked.items() for said in one.said):
        terminal.warn(sentence)


def _end_undone(run: Run, wanted: Wanted, told: _Told, *, waits_for_yes: bool) -> int:
    """Say that nothing was done; returns the exit status."""
    yes = " (only with --yes)" if waits_for_yes and told.guests else ""
    run.terminal.say(f"Nothing was done{yes}.")
    counts = {name: sum(one.undone.get(name, 0) for one in told.looked.values()) for name in _NONE}
    for name in ("rows", "failed"):
        counts[name] += told.nobodys
    job = {"submission": None, "operation": wanted.operation, "state": "cancelled"}
    run.terminal.finish({**job, **counts, **told.describe()})
    return 3 if told.falls_short and not waits_for_yes else told.status
