"""A table says what Graph's refusals of a reset mean. Pure.

After `resetRedemption` a guest accepts anew, by another address if need be.

A reset is the same call as an invitation, but it names a guest who is there. So what stops all
invitations of a tenant may be about this one guest here: an app may not reset whoever holds a
directory role, and Graph does not always say so in these words.
https://learn.microsoft.com/entra/external-id/reset-redemption-status
"""

from __future__ import annotations

from enum import StrEnum

from worker.graph.causes import Kind, OperationRules, Rule
from worker.graph.patterns import wording
from worker.operations.invite_rules import read_invitation


class ResetCause(StrEnum):
    """The causes for which Graph does not reset a guest, in our words."""

    NOT_THIS_GUEST = "not_this_guest"
    ADDRESS_NOT_THEIRS = "address_not_theirs"


RESET = OperationRules(
    verb="reset guests",
    permission="User.ReadWrite.All",
    also=frozenset({"Directory.ReadWrite.All"}),
    without="no guest can be reset",
    read_done=read_invitation,
    unsure="the guest may have been reset, so a person looks before it is done again.",
    rules={
        ResetCause.NOT_THIS_GUEST: Rule(
            Kind.FAILED,
            "Microsoft lets no application reset this guest, who may hold a directory role: an administrator resets the"
            " guest in the Entra admin center.",
        ),
        ResetCause.ADDRESS_NOT_THEIRS: Rule(
            Kind.FAILED,
            "This address is not among the guest's own: an administrator adds it to the guest in the Entra admin"
            " center, then retry the row.",
        ),
    },
    patterns=(
        wording(
            ResetCause.NOT_THIS_GUEST,
            r"guest invitations (are )?not allowed for your company",
            r"generic authorization exception",
        ),
        wording(ResetCause.ADDRESS_NOT_THEIRS, r"doesn['’]?t match any emails on the user object"),
    ),
)
