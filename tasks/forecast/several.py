"""A list that goes through several connections has a plan for each of them, and they are told as
one: a line a connection, and a total. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.forecast.dry_run import describe_dry_run
from tasks.forecast.plan import NAME_ABOVE_ROWS, Plan
from tasks.telling.words import many, number, span
from worker.ledger.quota import seconds_for_all

if TYPE_CHECKING:
    from tasks.forecast.dry_run import Forecast

_NAMED = 10  # connections of which the same is said
HEADINGS = ("Connection", "To send", "E-mails", "Already", "Not sent", "Tenant", "Time")
RIGHT = HEADINGS[1:5]
NOBODYS_NAME = "(none)"
"""Where a connection's name stands: of rows that are no connection's, which no connection can have.
"""


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of a submission; `waits`: by connection, why its rows wait from the beginning;
    `nobodys`: bad rows that are no connection's; `unasked`: of a dry run, the connections that
    could not be asked.
    """

    plans: Sequence[Plan]
    waits: Sequence[tuple[str, str]] = ()
    nobodys: int = 0
    unasked: Sequence[str] = ()

    @property
    def to_send(self) -> int:
        """How many rows go out, through all connections together."""
        return sum(plan.pilot or plan.to_send for plan in self.plans)

    @property
    def mails(self) -> int:
        """How many e-mails there are of them."""
        return sum(min(plan.mails, plan.pilot or plan.to_send) for plan in self.plans)

    def table(self) -> list[tuple[str, ...]]:
        """Return a line a connection under `HEADINGS`, and a total."""
        lines = [_line(plan.connection, [plan], plan.tenant, plan.seconds) for plan in self.plans]
        if self.nobodys:
            lines.append((NOBODYS_NAME, "", "", "", number(self.nobodys), "", ""))
        lines += [(name, "", "", "", "", "not asked", "") for name in self.unasked]
        asked, every = number(len(self.plans)), many(len(self.plans) + len(self.unasked), "connection")
        told = f"{asked} of {every}" if self.unasked else every
        total = _line("together", self.plans, told, self.seconds, self.nobodys)
        return [*lines, total]

    @property
    def seconds(self) -> float:
        """How long all take at least: side by side, as far as they do not share a limit (that of
        their application, or of a tenant).
        """
        return seconds_for_all(load for plan in self.plans for load in plan.loads)

    @property
    def risks(self) -> list[str]:
        """What is known to go wrong, each sentence once, with the connections that it is about."""
        said = [(plan.connection, risk) for plan in self.plans for risk in plan.risks]
        return say_once([*self.waits, *said])

    @property
    def approval(self) -> str:
        """Where somebody has to approve first, '' for nowhere: a sentence."""
        names = [plan.connection for plan in self.plans if plan.needs_approval]
        others = ", the others at once" if len(names) < len(self.plans) else ""
        return f"{_names(names)}: sent only once somebody else has approved it{others}." if names else ""

    @property
    def question(self) -> str:
        """What is asked on a terminal before anything is sent."""
        what = self.plans[0].operation.requests.removesuffix("s")
        at_most = "at most " if any(plan.at_most for plan in self.plans) else ""
        mails = f"with {many(self.mails, 'e-mail')}" if self.mails else "without e-mail"
        asked = f"Send {at_most}{many(self.to_send, what)} {mails} to {many(len(self.plans), 'connection')}?"
        if self.wants_number:
            return f"{asked} {self.again}"
        return f"{asked} [y/N]"

    @property
    def again(self) -> str:
        """What is asked where a yes was typed, and is none."""
        return f"Type how many connections these are ({len(self.plans)}) to go on:"

    @property
    def wants_number(self) -> bool:
        """Whether only the number of connections is a yes."""
        return self.to_send > NAME_ABOVE_ROWS

    def accepts(self, answer: str) -> bool:
        """Whether an answer to `question` is a yes."""
        answer = answer.strip().lower()
        return answer == str(len(self.plans)) if self.wants_number else answer in ("y", "yes")


def say_once(said: Iterable[tuple[str, str]]) -> list[str]:
    """Return sentences about connections, each once, beginning with those that it is about."""
    about: dict[str, list[str]] = {}
    for connection, sentence in said:
        about.setdefault(sentence.replace(f"onnection {connection} ", "onnection "), []).append(connection)
    return [f"{_names(connections)}: {sentence}" for sentence, connections in about.items()]


def describe_dry_runs(found: Sequence[tuple[Plan, Forecast]], nobodys: int = 0) -> dict[str, Any]:
    """Return what programs are told of a dry run through several connections: the sum, with bad
    rows that are no connection's, and `jobs` with what is told of each.
    """
    told = [describe_dry_run(plan, forecast) for plan, forecast in found]
    counts = [name for name, value in told[0].items() if isinstance(value, int)]
    summed = {name: sum(one[name] for one in told) for name in counts}
    for name in ("rows", "failed"):
        summed[name] += nobodys
    return {"submission": None, "state": "cancelled", **summed, "jobs": told}


def _names(connections: Sequence[str]) -> str:
    more = len(connections) - _NAMED
    return ", ".join(connections[:_NAMED]) + (f" and {number(more)} more" if more > 0 else "")


def _line(name: str, plans: Sequence[Plan], tenant: str, seconds: float, nobodys: int = 0) -> tuple[str, ...]:
    counts = (
        sum(plan.to_send for plan in plans),
        sum(plan.mails for plan in plans),
        sum(plan.known for plan in plans),
        sum(plan.bad + plan.duplicates + plan.blocked + plan.refused for plan in plans) + nobodys,
    )
    to_send, *others = counts
    return (name, number(to_send), *(number(n) if n else "" for n in others), tenant, _time(seconds))


def _time(seconds: float) -> str:
    return f"at least {span(seconds)}" if seconds >= 1 else span(seconds)
