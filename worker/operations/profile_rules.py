"""A table says what Graph's refusals of a change to a guest's profile mean. Pure.

https://learn.microsoft.com/graph/api/user-update
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from worker.graph.causes import Cause, Kind, OperationRules, Rule
from worker.graph.patterns import wording
from worker.operations.operation import NOT_THERE_YET
from worker.operations.step import NOT_YET, PROTECTED, PROTECTED_GUEST, SYNCED, SYNCED_GUEST, read_changed


class ProfileCause(StrEnum):
    """The causes for which Graph does not change a guest, in our words."""

    SYNCED = SYNCED
    PROTECTED = PROTECTED
    BAD_LOCATION = "bad_usage_location"
    NOT_THERE_YET = NOT_THERE_YET


_RULES: Mapping[StrEnum, Rule] = {
    ProfileCause.SYNCED: SYNCED_GUEST,
    ProfileCause.PROTECTED: PROTECTED_GUEST,
    ProfileCause.BAD_LOCATION: Rule(
        Kind.FAILED,
        "Microsoft does not know this usage location: correct it to the two letters of a country, such as NO, and"
        " submit the row again.",
    ),
    ProfileCause.NOT_THERE_YET: NOT_YET,
}
_PATTERNS = (
    wording(ProfileCause.SYNCED, r"on-premises mastered", r"directory sync objects"),
    wording(
        ProfileCause.NOT_THERE_YET,
        r"unable to read the company information",
        r"does not exist or one of its queried reference-property objects are not present",
    ),
    wording(ProfileCause.BAD_LOCATION, r"usage ?location"),
)

PROFILE = OperationRules(
    verb="change the profiles of guests",
    permission="User.ReadUpdate.All",
    also=frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"}),
    rules=_RULES,
    patterns=_PATTERNS,
    statuses={403: Cause.NO_PERMISSION, 404: ProfileCause.NOT_THERE_YET},
    protected=ProfileCause.PROTECTED,
    read_done=read_changed,
)
