"""The operation `sponsors` says who answers for a guest: a person or a group, five at most.

An invitation takes sponsors along (`invite.py`); here is read whether they are there, and those
that are not are added one by one. https://learn.microsoft.com/graph/api/user-post-sponsors
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from worker.graph.batch import BATCH_LIMIT, GraphRequest
from worker.graph.causes import Kind, Verdict
from worker.graph.references import build_reference, reference_path
from worker.graph.verdicts import decide
from worker.ledger.job_targets import TargetKind
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import Ask, Asked, Call
from worker.operations.sponsor_rules import MOST_SPONSORS, SPONSORS, SponsorCause
from worker.operations.step import Step

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer


class Sponsors(Step):
    """The operation gives guests their sponsors."""

    name = "sponsors"
    rules = SPONSORS
    words: Mapping[RowState, str] = {RowState.DONE: "set", RowState.ALREADY: "set already"}
    target_kind = TargetKind.SPONSOR

    def targets(self, row: Row, options: Options) -> tuple[str, ...]:
        """Return the sponsors that a row names, each once."""
        return tuple(dict.fromkeys(row.get("sponsors") or ()))

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows of sponsors who are there already, and of those who cannot be set."""
        found: dict[int, Outcome | Stop] = {}
        guests: dict[str, list[Asked]] = {}
        for asked in rows:
            if asked.target and asked.target.refused:
                found[asked.index] = asked.ended(RowState.FAILED, "target_refused", asked.target.refused)
            elif asked.target:
                guests.setdefault(asked.user_id, []).append(asked)
        ids = list(guests)
        for start in range(0, len(ids), BATCH_LIMIT):
            part = ids[start : start + BATCH_LIMIT]
            answers = await ask.get(
                [GraphRequest(guest, "GET", f"/users/{guest}/sponsors?$select=id") for guest in part]
            )
            for guest in part:
                found |= _compare_guest(guests[guest], answers[guest])
        return found

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return a POST for each row."""
        return [
            asked.call(
                "POST",
                reference_path("users", asked.user_id, "sponsors"),
                build_reference(connection.graph_url, asked.target.collection, asked.target.id),
            )
            for asked in rows
            if asked.target
        ]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge by Graph's answer; where that names the sponsor as missing, it is not the guest."""
        verdict = decide(self.rules, answer, email=asked.row["email"])
        is_sponsor = asked.target is not None and asked.target.id.lower() in verdict.raw.lower()
        if verdict.cause != SponsorCause.NOT_THERE_YET or not is_sponsor:
            return verdict
        gone = SponsorCause.GONE
        return replace(verdict, kind=Kind.FAILED, message=self.rules.explain(gone), cause=gone.value)


def read_sponsors(answer: GraphAnswer) -> frozenset[str] | None:
    """Return the ids of a guest's sponsors; None where the app may not read them."""
    values = answer.body.get("value") if isinstance(answer.body, dict) else None
    if answer.status != 200 or not isinstance(values, list):
        return None
    return frozenset(str(value["id"]).lower() for value in values if isinstance(value, dict) and value.get("id"))


def _compare_guest(rows: Sequence[Asked], answer: GraphAnswer) -> dict[int, Outcome | Stop]:
    """Compare one guest's rows with the sponsors that the tenant shows."""
    if answer.status == 404:
        return {asked.index: Stop(Rest.DIRECTORY) for asked in rows}
    there = read_sponsors(answer)
    if there is None:  # Graph itself says then who is there already
        return {}
    found: dict[int, Outcome | Stop] = {}
    room = MOST_SPONSORS - len(there)
    for asked in rows:
        assert asked.target
        if asked.target.id.lower() in there:
            # The invitation has set them, or a try whose answer was lost
            letter = RowState.DONE if asked.row.get("new") or asked.tried else RowState.ALREADY
            found[asked.index] = asked.ended(letter)
        elif room > 0:
            room -= 1
        else:
            why = SPONSORS.explain(SponsorCause.TOO_MANY)
            found[asked.index] = asked.ended(RowState.FAILED, SponsorCause.TOO_MANY.value, why)
    return found
