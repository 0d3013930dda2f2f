"""A command ends with how its job stands: outcomes, rows that need somebody, and how to go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.follow.follow import Followed
from cli.follow.when_to_stop import End, exit_status
from cli.ui.terminal import COLOURS, Terminal, build_facts, build_table
from tasks.messages.views import describe_job
from tasks.rows.fields import ERROR_OF, STATUS_OF
from tasks.safe_text import clean
from tasks.telling.stages import left_words, stage_words
from tasks.telling.words import OUTCOME_WORDS, many, number, span
from worker.ledger.approval import other_person
from worker.ledger.job_view import JobView
from worker.ledger.model import RowState
from worker.operations.registry import find_operation
from worker.services import Services
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from cli.follow.run import Run

_TROUBLED = ("failed", "in_doubt")
_LOOKED_AT = 10_000
"""Of a job with more rows it is not looked up why some were skipped."""
SHOWN_ROWS = 20
"""Rows that did not end well are shown up to here; the command for all of them is named."""


async def report(run: Run, services: Services, followed: Followed, *, thought_s: float = 0.0) -> int:
    """Show how a followed job stands, and return the exit status. `thought_s`: somebody took so
    long to let it go on.
    """
    session, terminal = run.session, run.terminal
    view = followed.view
    if view is None:
        terminal.problem(
            f"Job {session.accepted} is gone: somebody deleted it, or it expired."
            if followed.end is End.DELETED
            else followed.why
        )
        if session.last is not None:
            terminal.finish(session.last)
        return 3
    session.last = describe_job(view)
    counts = view.counts
    if not terminal.quiet:
        took = (
            f" in {span((view.finished_at - view.began_at).total_seconds() - thought_s)}"
            if view.ended and view.finished_at
            else ""
        )
        terminal.show(
            "",
            f"{many(counts.rows, 'row')} on {view.connection}, {_stands(followed, view)}{took}",
            "",
            outcome_table(view),
        )
        if view.adds_up("failed", "in_doubt"):
            await show_troubled(terminal, services, view)
        if view.ended and counts.skipped and counts.rows <= _LOOKED_AT:
            await _show_skipped(terminal, services, view)
    for sentence, command in how_to_go_on(followed, view, runs_on=run.place.runs_on):
        terminal.warn(sentence, command)
    if not terminal.quiet and view.ended and (counts.done or counts.skipped):
        terminal.say(f"Everything about each row: usher jobs results {view.id} -o results.csv")
    if view.ended and can_be_undone(view):
        terminal.say(f"To take it back: usher guests undo {view.id}")
    terminal.finish(session.last)
    return exit_status(followed.end, *map(view.adds_up, ("failed", "in_doubt", "cancelled")))


def can_be_undone(view: JobView) -> bool:
    """Whether a job or a stage of it has done something that can be taken back. Pure."""
    did = {view.operation: view.counts, **view.stages}
    return any(find_operation(name).undone_by and one.done for name, one in did.items())


def outcome_table(view: JobView) -> Any:
    """Return the counts, one a line, in the order of the words; a line a stage below them."""
    from rich.text import Text

    told = describe_job(view)
    words = OUTCOME_WORDS | _own_words(view)
    rows = [
        (Text(f"  {word}", style=COLOURS[name]), Text(number(told[name]), style="bold"))
        for name, word in words.items()
        if told.get(name)
    ]
    table = build_facts(rows)
    table.columns[1].justify = "right"
    if not view.stages:
        return table
    from rich.console import Group

    stages = build_facts((f"  {name}", stage_words(name, counts)) for name, counts in view.stages.items())
    return Group(table, "", stages)


def _own_words(view: JobView) -> dict[str, str]:
    """Return what a job that goes on in stages calls its rows: "so already" would say of rows that
    nothing was done, while stages may have changed them.
    """
    words = find_operation(view.operation).words if view.stages else {}
    own = {"done": words.get(RowState.DONE, ""), "already": words.get(RowState.ALREADY, "")}
    return {name: word.replace("_", " ") for name, word in own.items() if word}


async def show_troubled(terminal: Terminal, services: Services, view: JobView) -> None:
    """Show the rows that failed or stayed in doubt, or a stage of which did, with the reasons."""
    from rich.text import Text

    shown: list[tuple[str, Text, str]] = []
    rows = 0
    try:
        async for record in services.jobs.rows.results(view.id):
            reasons = troubles(record, tuple(view.stages))
            if not reasons:
                continue
            rows += 1
            address = Text(clean(record["email"] or "(no address)"), style=COLOURS[reasons[0][0]])
            shown += [
                (number(record["row"]) if index == 0 else "", address if index == 0 else Text(), why)
                for index, (_, why) in enumerate(reasons)
            ]
            if len(shown) >= SHOWN_ROWS:
                break
    except OUTAGE:
        return
    terminal.show("", build_table(("Row", "Address", "Why"), shown, right=("Row",)))
    if len(shown) >= SHOWN_ROWS and view.adds_up("failed", "in_doubt") > len(shown):
        options = " ".join(f"--only {name}" for name in ("failed", "in_doubt") if view.adds_up(name))
        left = view.counts.failed + view.counts.in_doubt - rows
        more = f"{number(left)} more" if not view.stages else "More"
        terminal.show("", f"{more}: usher jobs results {view.id} {options}")


async def _show_skipped(terminal: Terminal, services: Services, view: JobView) -> None:
    """Show why rows were skipped, each reason once, in the words of its first row."""
    counts: Counter[str] = Counter()
    said: dict[str, str] = {}
    try:
        async for record in services.jobs.rows.results(view.id):
            if record["status"] == "skipped":
                code = record["error_code"] or ""
                counts[code] += 1
                said.setdefault(code, clean(record["error_message"] or code))
    except OUTAGE:
        return
    lines = [(number(count), said[code]) for code, count in counts.most_common()]
    terminal.show("", build_table(("Skipped", "Why"), lines, right=("Skipped",)))


def troubles(record: Mapping[str, Any], stages: Sequence[str]) -> list[tuple[str, str]]:
    """Return how a row and its stages failed or stayed in doubt, each with the reason. Pure."""
    found = []
    if record["status"] in _TROUBLED:
        found.append((record["status"], record["error_message"] or record["error_code"]))
    for stage in stages:
        status = record.get(stage + STATUS_OF)
        if status in _TROUBLED:
            found.append((status, f"{stage}: {record.get(stage + ERROR_OF) or OUTCOME_WORDS[status]}"))
    return found


def how_to_go_on(followed: Followed, view: JobView, *, runs_on: bool) -> list[tuple[str, str]]:
    """Return why a job did not end and the command that goes on, as (sentence, command). Pure."""
    resume, watch = f"usher jobs resume {view.id}", f"usher jobs watch {view.id}"
    again = watch if runs_on else resume
    left = left_words(view)
    match followed.end:
        case End.PILOT:
            return [
                (f"The pilot is over, {left} left. To go on:", resume),
                ("To drop the rest:", f"usher jobs cancel {view.id}"),
            ]
        case End.PAUSED:
            by = f"Stopped by {followed.by}" if followed.by else _paused_by(view)
            what = find_operation(view.operation).requests.removesuffix("s")
            sent = f"{many(view.counts.done, what)} went out, {left} left."
            still = (
                f" {many(view.open, 'row')} on the wire or being looked up will settle once it goes on."
                if view.open
                else ""
            )
            return [(f"{by}: {sent}{still} To go on:", resume)]
        case End.HELD if view.awaits_approval:
            looked = f"{other_person(view.info)} has looked at it (usher jobs show {view.id}) and approves it"
            why = f"Connection {view.connection} requires approval, so nothing is sent until {looked}:"
            paused = [("It is paused besides. Once it is approved:", resume)] if view.pause else []
            return [(f"Held, {left} left. {why}", f"usher jobs approve {view.id}"), *paused]
        case End.HELD if view.waits_for_a_person:
            return [(f"Held, {left} left. {view.why} To go on:", resume)]
        case End.HELD:
            return [(f"Held, {left} left. {view.why} Once that is done:", again)]
        case End.STUCK:
            why = f" {found}" if (found := followed.why or view.gate.closed_why or view.gate.trouble) else ""
            return [(f"No row has ended for as long as --wait allows, {left} left.{why} To go on:", again)]
        case End.LEFT:
            return [(f"{'Left running' if runs_on else 'No longer watched'}, {left} left. To follow it again:", watch)]
        case End.LOST:
            why = followed.why or "Redis did not answer in time."
            return [(f"{why} The rows are safe in the ledger. To go on:", again)]
        case _:
            return []


def _paused_by(view: JobView) -> str:
    return f"The job was paused ({view.why})" if view.why else "The job was paused"


def _stands(followed: Followed, view: JobView) -> str:
    match followed.end:
        case End.ENDED:
            return "done"
        case End.PILOT:
            return "paused after the pilot"
        case _:
            return view.state.value
