"""A table says what Graph's refusals to change who is in a group or a team mean. Pure.

One bad member spoils a whole call, and Graph does not say which; what it says of the group holds
for every row that names the group.
https://learn.microsoft.com/graph/api/group-post-members
https://learn.microsoft.com/entra/external-id/troubleshoot
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from worker.graph.batch import GraphAnswer
from worker.graph.causes import Cause, Kind, OperationRules, Rule, Verdict
from worker.graph.patterns import wording
from worker.operations.operation import NOT_THERE_YET
from worker.operations.step import read_changed


class GroupCause(StrEnum):
    """The causes for which Graph does not change a membership, in our words."""

    ALREADY_MEMBER = "already_member"
    NOT_A_MEMBER = "not_a_member"
    NOT_THERE_YET = NOT_THERE_YET
    GUESTS_FORBIDDEN = "guests_forbidden"
    MAIL_ENABLED = "mail_enabled_group"
    SYNCED = "synced_group"
    DYNAMIC = "dynamic_group"
    GONE = "group_gone"
    PROTECTED = "protected_group"
    UNSAID = "never_answered"


_RULES: Mapping[StrEnum, Rule] = {
    GroupCause.ALREADY_MEMBER: Rule(Kind.ALREADY, "A member already."),
    GroupCause.NOT_THERE_YET: Rule(Kind.RETRY, "The directory does not know this guest everywhere yet; usher waits."),
    GroupCause.GUESTS_FORBIDDEN: Rule(
        Kind.FAILED,
        "“{target}” takes no guests, by a policy of this tenant: an administrator allows guests there, then retry the"
        " rows.",
        whole_target=True,
    ),
    GroupCause.MAIL_ENABLED: Rule(
        Kind.FAILED,
        "“{target}” is a distribution list or a mail-enabled security group, which Graph cannot change: an"
        " administrator adds its members in Exchange.",
        whole_target=True,
    ),
    GroupCause.SYNCED: Rule(
        Kind.FAILED,
        "“{target}” comes from the on-premises directory: an administrator adds its members there.",
        whole_target=True,
    ),
    GroupCause.DYNAMIC: Rule(
        Kind.FAILED,
        "A rule decides who is in “{target}” (dynamic membership), so nobody can be added: an administrator changes"
        " the rule.",
        whole_target=True,
    ),
    GroupCause.GONE: Rule(
        Kind.FAILED,
        "“{target}” is not in this tenant any more: name another one, or restore it, then retry the rows.",
        whole_target=True,
    ),
    GroupCause.UNSAID: Rule(
        Kind.FAILED,
        "Microsoft answers for the others and says nothing of this guest, however often it is asked: look in Teams"
        " whether the guest is in “{target}”, then retry the row.",
    ),
    GroupCause.PROTECTED: Rule(
        Kind.FAILED,
        "Microsoft lets this application put nobody into this group, which probably can be given directory roles or is"
        " in a restricted administrative unit: an administrator adds its members in the Entra admin center.",
        whole_target=True,
    ),
    # Nothing new is made of which the directory could be full
    Cause.DIRECTORY_FULL: Rule(
        Kind.FAILED,
        "“{target}” is full: an administrator makes room in it, or name another one, then retry the rows.",
        whole_target=True,
    ),
}
_KINDS = (
    wording(GroupCause.MAIL_ENABLED, r"mail-enabled security group"),
    wording(GroupCause.SYNCED, r"on-premises mastered"),
    wording(GroupCause.DYNAMIC, r"dynamic (membership|group)", r"membershiprule"),
)
"""Of groups whose members Graph does not change."""
_PATTERNS = (
    wording(GroupCause.GUESTS_FORBIDDEN, r"guests? users? (are|is) not allowed to join", r"guest.{0,60}not allowed"),
    *_KINDS,
    wording(
        GroupCause.ALREADY_MEMBER,
        r"added object references already exist",
        r"a conflicting object",
        r"already (exists? )?.{0,40}'members'",
        r"already a member",
    ),
    wording(
        GroupCause.NOT_THERE_YET,
        r"source resource object or one of the objects",
        r"not a valid reference update",
        r"one of its queried reference-property objects are not present",
        r"unable to read the company information",
    ),
)
_GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)


def read_added(answer: GraphAnswer) -> Verdict:
    """Read a 2xx."""
    return Verdict(
        Kind.DONE, message="Added.", status=answer.status, request_id=answer.headers.get("request-id", "")[:100]
    )


_WRITE_MEMBERS = ("GroupMember.ReadWrite.All", frozenset({"Group.ReadWrite.All", "Directory.ReadWrite.All"}))

GROUPS = OperationRules(
    verb="add guests to groups",
    permission=_WRITE_MEMBERS[0],
    also=_WRITE_MEMBERS[1],
    rules=_RULES,
    patterns=_PATTERNS,
    statuses={403: Cause.NO_PERMISSION, 404: GroupCause.NOT_THERE_YET},
    protected=GroupCause.PROTECTED,
    read_done=read_added,
)
TEAMS = OperationRules(
    verb="add guests to teams",
    permission="TeamMember.ReadWriteNonOwnerRole.All",
    also=frozenset({"TeamMember.ReadWrite.All"}),
    rules=_RULES,
    # Each guest has an answer of its own, so what is said of the call is said of the team
    patterns=_PATTERNS,
    statuses={403: Cause.NO_PERMISSION, 404: GroupCause.GONE},
    protected=GroupCause.PROTECTED,
    read_done=read_added,
)

LEAVE = OperationRules(
    verb="take guests out of groups",
    permission=_WRITE_MEMBERS[0],
    also=_WRITE_MEMBERS[1],
    rules={
        GroupCause.NOT_A_MEMBER: Rule(Kind.ALREADY, "Not a member."),
        GroupCause.MAIL_ENABLED: Rule(
            Kind.FAILED,
            "“{target}” is a distribution list or a mail-enabled security group, which Graph cannot change: an"
            " administrator takes its members out in Exchange.",
            whole_target=True,
        ),
        GroupCause.SYNCED: Rule(
            Kind.FAILED,
            "“{target}” comes from the on-premises directory: an administrator takes its members out there.",
            whole_target=True,
        ),
        GroupCause.DYNAMIC: Rule(
            Kind.FAILED,
            "A rule decides who is in “{target}” (dynamic membership), so nobody can be taken out: an administrator"
            " changes the rule.",
            whole_target=True,
        ),
        GroupCause.PROTECTED: Rule(
            Kind.FAILED,
            "Microsoft lets this application take nobody out of this group, which probably can be given directory roles"
            " or is in a restricted administrative unit: an administrator does it in the Entra admin center.",
            whole_target=True,
        ),
    },
    patterns=_KINDS,
    statuses={403: Cause.NO_PERMISSION, 404: GroupCause.NOT_A_MEMBER},
    protected=GroupCause.PROTECTED,
    read_done=read_changed,
)


def named_ids(answer: GraphAnswer) -> frozenset[str]:
    """Return the object ids that a refusal names."""
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return frozenset(found.lower() for found in _GUID.findall(message)) if isinstance(message, str) else frozenset()
