"""A 403 is the application's trouble or one row's, and Graph answers both in the same words. Pure.

Whoever holds a directory role, or may take one by a group, is protected: an application with every
permission is refused there too (https://learn.microsoft.com/graph/api/resources/users). So: a token
without the permission holds the channel; with it the 403 belongs to the row, unless several rows in
a row meet it and none gets through, for so many protected guests side by side are unlikely. Where
it belongs to a target (a group), all rows of a call meet it, and the token alone tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from worker.graph.causes import HoldKind, Kind, OperationRules, Verdict

IN_A_ROW = 3
"""So many rows of one batch that are forbidden one after the other, and none that is not, speak of
the application.
"""


def blame(rules: OperationRules, verdicts: Sequence[Verdict], roles: frozenset[str] | None) -> list[Verdict]:
    """Return the verdicts of one batch, each 403 being the channel's trouble or its row's. `roles`:
    of the token that the batch was sent with; None: it does not show them.
    """
    if rules.protected is None:
        return list(verdicts)
    forbidden = [verdict.hold is HoldKind.PERMISSION for verdict in verdicts]
    if True not in forbidden or rules.is_granted(roles) is False:
        return list(verdicts)
    whole_target = rules.rule(rules.protected).whole_target
    if whole_target and rules.is_granted(roles) is None:
        return list(verdicts)
    gets_through = any(verdict.kind in (Kind.DONE, Kind.ALREADY) for verdict in verdicts)
    if not whole_target and not gets_through and sum(forbidden) >= IN_A_ROW:
        return list(verdicts)
    cause, message = rules.protected.value, rules.explain(rules.protected)
    return [
        replace(verdict, kind=Kind.FAILED, hold=None, message=message, cause=cause, whole_target=whole_target)
        if is_forbidden
        else verdict
        for verdict, is_forbidden in zip(verdicts, forbidden, strict=True)
    ]
