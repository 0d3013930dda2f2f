"""A table says what Graph's refusals of a sponsor mean. Pure.

https://learn.microsoft.com/graph/api/user-post-sponsors
https://learn.microsoft.com/entra/external-id/b2b-sponsors
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from worker.graph.causes import Cause, Kind, OperationRules, Rule
from worker.graph.patterns import wording
from worker.operations.operation import NOT_THERE_YET
from worker.operations.step import NOT_YET, PROTECTED, PROTECTED_GUEST, read_changed

MOST_SPONSORS = 5
"""https://learn.microsoft.com/entra/external-id/b2b-sponsors"""


class SponsorCause(StrEnum):
    """The causes for which Graph sets no sponsor, in our words."""

    ALREADY_SPONSOR = "already_sponsor"
    TOO_MANY = "too_many_sponsors"
    GONE = "sponsor_gone"
    NOT_THERE_YET = NOT_THERE_YET
    PROTECTED = PROTECTED


_RULES: Mapping[StrEnum, Rule] = {
    SponsorCause.ALREADY_SPONSOR: Rule(Kind.ALREADY, "A sponsor of this guest already."),
    SponsorCause.TOO_MANY: Rule(
        Kind.FAILED,
        "This guest has five sponsors, and Microsoft keeps no more: an administrator takes one away, then retry the"
        " row.",
    ),
    SponsorCause.GONE: Rule(
        Kind.FAILED, "This sponsor is not in the tenant any more: name another one and submit the row again."
    ),
    SponsorCause.NOT_THERE_YET: NOT_YET,
    SponsorCause.PROTECTED: PROTECTED_GUEST,
}
_PATTERNS = (
    wording(SponsorCause.ALREADY_SPONSOR, r"references already exist", r"already exist.{0,80}sponsors"),
    wording(
        SponsorCause.TOO_MANY,
        r"(maximum|limit|exceed|more than|too many|at most).{0,120}sponsor",
        r"sponsors?.{0,120}(maximum|limit|exceed|more than)",
    ),
    wording(
        SponsorCause.NOT_THERE_YET,
        r"not a valid reference update",
        r"does not exist or one of its queried reference-property objects are not present",
        r"unable to read the company information",
    ),
)

SPONSORS = OperationRules(
    verb="set sponsors",
    permission="User.ReadWrite.All",
    also=frozenset({"Directory.ReadWrite.All"}),
    without="a sponsor is set by the invitation alone, and nobody's who was a guest before; other rows of it wait",
    rules=_RULES,
    patterns=_PATTERNS,
    statuses={403: Cause.NO_PERMISSION, 404: SponsorCause.NOT_THERE_YET},
    protected=SponsorCause.PROTECTED,
    read_done=read_changed,
)
