"""Before the first send: who of a chunk is in the directory already. They end without a mail; only the others are invited.

One `$batch` looks up a whole chunk. It happens where the app may read users (and `precheck` is on), and not for `--resend`, whose point
it is to mail people again. A look-up that fails stops nobody: Graph itself then says who is there, one row at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from worker.directory import DirectoryUser
from worker.model import Outcome, RowState

FRESH_S = 600.0
"""A chunk looked up within this time is not looked up again when it comes back from waiting for tokens."""


CLOCK_SLACK_S = 2.0
"""`Date` and `createdDateTime` have whole seconds: a user created this little before the mark was created by it."""


def is_by_attempt(user: DirectoryUser, attempted_s: float) -> bool:
    """Whether a user was created by an attempt of ours, its time being on Graph's clock (seconds since the epoch). Pure."""
    return user.created_at is None or user.created_at.timestamp() >= attempted_s - CLOCK_SLACK_S


def judge_known(index: int, user: DirectoryUser, at_ms: int) -> Outcome:
    """Return the outcome of a row whose address has a user in the tenant. Pure."""
    if user.member:
        return Outcome(
            index,
            RowState.FAILED,
            user_id=user.id,
            code="own_member",
            message="Not sent: this address belongs to a member of the tenant itself, a colleague who cannot be a guest.",
            at_ms=at_ms,
        )
    if not user.enabled:
        return Outcome(
            index,
            RowState.FAILED,
            user_id=user.id,
            code="account_disabled",
            message=(
                "Not sent: this guest exists, but the account is blocked from signing in: an administrator must enable it, "
                "then retry the row."
            ),
            at_ms=at_ms,
        )
    return Outcome(
        index,
        RowState.ALREADY_GUEST,
        user_id=user.id,
        code="already_exists",
        message="Already a guest of this tenant; nothing was sent. To mail the invitation again, submit the row with --resend.",
        at_ms=at_ms,
    )


def judge_all(
    addresses: Mapping[int, str],
    found: Mapping[str, DirectoryUser],
    at_ms: int,
    first_attempts: Mapping[int, tuple[float, Outcome]] | None = None,
) -> list[Outcome]:
    """Return the outcomes of the rows (index → folded address) that are known already. Pure.

    `first_attempts`: of rows sent before, absent when they were looked for and about to be sent again: when that was on Graph's clock,
    and how the row ends if that attempt was carried out after all.
    """
    outcomes = []
    for index, address in addresses.items():
        user = found.get(address)
        if user is None:
            continue
        attempted_s, invited = (first_attempts or {}).get(index, (0.0, None))
        if invited is not None and is_by_attempt(user, attempted_s):
            outcomes.append(replace(invited, user_id=user.id))
        else:
            outcomes.append(judge_known(index, user, at_ms))
    return outcomes
