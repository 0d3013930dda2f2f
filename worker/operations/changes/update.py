"""The operation `update` brings guests who are there to what a list says of them: their profile by
comparing, with one write for what differs; sponsors, groups and teams follow as its stages. Pure.

Nothing is ever cleared or taken away: a cell that is empty says nothing.
https://learn.microsoft.com/graph/api/user-update
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from worker.graph.causes import Cause, Kind, Rule
from worker.ledger.model import Options, Row, RowState
from worker.operations.operation import THEN, Operation
from worker.operations.profile import Profile
from worker.operations.profile_rules import PROFILE, ProfileCause


class UpdateCause(StrEnum):
    """The causes that a profile of a guest who was just invited does not have."""

    GONE = "not_there"


UPDATE = replace(
    PROFILE,
    verb="update guests",
    without="such jobs wait, and all else goes on",
    rules={
        **PROFILE.rules,
        UpdateCause.GONE: Rule(
            Kind.FAILED, "This guest was deleted from the tenant a moment ago, so nothing was changed or is to do."
        ),
    },
    patterns=tuple(one for one in PROFILE.patterns if one.cause is not ProfileCause.NOT_THERE_YET),
    statuses={403: Cause.NO_PERMISSION, 404: UpdateCause.GONE},
)


class Update(Profile):
    """The operation updates guests."""

    name = "update"
    rules = UPDATE
    alone = True
    takes_lists = True
    guarded = True
    words: Mapping[RowState, str] = {RowState.DONE: "updated", RowState.ALREADY: "so already"}
    requests = "updates"
    known_words = "that are as the list says"
    not_there = "Nobody in the tenant has this address or id, so nothing was changed: check it."

    def leads_to(self, stage: Operation) -> bool:
        """Lead to what puts a guest beside something the row names: sponsors, groups, teams."""
        return stage.target_kind is not None

    def targets(self, row: Row, options: Options) -> tuple[str, ...]:
        """Return what a root asks for that says so; no list does."""
        return Operation.targets(self, row, options) if THEN in row else ()
