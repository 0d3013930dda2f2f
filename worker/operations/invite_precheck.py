"""One judge decides about whoever is in the directory already, before any send and for a row in
doubt.

Before the first send whoever is there ends without a mail; only the others are invited.

Two `$batch` calls at once look up a whole chunk. It happens where the app may read users (and
`precheck` is on), and not for `--resend`, whose point it is to mail people again. While a look-up
fails its rows wait; only where the app may not read does Graph itself say who is there, one row at
a time.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from worker.graph.users import DirectoryUser
from worker.ledger.model import KnownRow, Outcome, RowState
from worker.operations.operation import INVITED_BEFORE, Asked, Attempt

CLOCK_SLACK_S = 2.0
"""`Date` and `createdDateTime` have whole seconds: a user created this little before the mark was
created by it.
"""


_LOST = "Looked up after Microsoft's answer was lost: "


def judge(asked: Asked, user: DirectoryUser, attempt: Attempt | None = None) -> Outcome:
    """Return the outcome of a row whose address has a user in the tenant, before its first send or
    after `attempt`. Pure.
    """
    if attempt is None:
        return _judge_known(asked, user, "Not sent: ")
    if is_by_attempt(user, attempt.at_s):
        return replace(attempt.outcome, user_id=user.id)
    known = _judge_known(asked, user, _LOST if attempt.sure else "Not sent: ")
    return replace(known, attempts=attempt.outcome.attempts, attempted_at_ms=attempt.outcome.attempted_at_ms)


def is_by_attempt(user: DirectoryUser, attempted_s: float) -> bool:
    """Whether a user was created by an attempt of ours, its time being on Graph's clock (seconds
    since the epoch). Pure.
    """
    return user.created_at is None or user.created_at.timestamp() >= attempted_s - CLOCK_SLACK_S


def _judge_known(asked: Asked, user: DirectoryUser, lead: str) -> Outcome:
    """Judge whoever was there before us. `lead`: what was done, to begin a sentence with."""
    if user.member:
        letter, code = RowState.FAILED, "own_member"
        message = f"{lead}this address belongs to a member of the tenant itself, a colleague who cannot be a guest."
    elif not user.enabled:
        letter, code = RowState.FAILED, "account_disabled"
        message = (
            f"{lead}this guest exists, but the account is blocked from signing in: an administrator must enable it, "
            "then retry the row."
        )
    elif lead is _LOST:
        letter, code = RowState.ALREADY, "already_exists"
        message = "Already in this tenant before this job; found there after Microsoft's answer was lost."
    else:
        letter, code = RowState.ALREADY, "already_exists"
        message = f"Already a guest of this tenant; nothing was sent. {advise_resend(user)}"
    return asked.ended(letter, code, message)


def advise_resend(user: DirectoryUser | None) -> str:
    """Say whether --resend would mail a guest again, who is there or (None) was invited and not
    looked up. Pure.

    Graph mails only whom it still waits for.
    https://learn.microsoft.com/entra/external-id/customize-invitation-api
    """
    if user is not None and user.accepted:
        return "The guest has accepted; Microsoft mails no invitation after that, not with --resend either."
    if user is not None and user.pending:
        return "The guest has not accepted yet: to mail the invitation again, submit the row with --resend."
    return (
        "To mail the invitation again, submit the row with --resend; Microsoft mails it only to a guest who has not"
        " accepted."
    )


def build_known(row: KnownRow, at_ms: int, user: DirectoryUser | None = None) -> Outcome:
    """End a row unsent: its guest was invited lately, by this list's earlier run or by another job.
    `user`: if they were looked up. Pure.
    """
    day = datetime.fromtimestamp(row.at_s, UTC)
    return Outcome(
        row.index,
        RowState.SKIPPED,
        code=INVITED_BEFORE,
        message=f"Not sent: job {row.job} invited this guest on {day:%Y-%m-%d}. {advise_resend(user)}",
        at_ms=at_ms,
    )
