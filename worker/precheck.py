"""Before the first send: who of a chunk is in the directory already. They end without a mail; only the others are invited.

One `$batch` looks up a whole chunk. It happens where the app may read users (and `precheck` is on), and not for `--resend`, whose point
it is to mail people again. A look-up that fails stops nobody: Graph itself then says who is there, one row at a time.
"""

from __future__ import annotations

from collections.abc import Mapping

from worker.directory import DirectoryUser
from worker.model import Outcome, RowState

FRESH_S = 600.0
"""A chunk looked up within this time is not looked up again when it comes back from waiting for tokens."""


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


def judge_all(addresses: Mapping[int, str], found: Mapping[str, DirectoryUser], at_ms: int) -> list[Outcome]:
    """Return the outcomes of the rows (index → folded address) that are known already. Pure."""
    return [judge_known(index, found[address], at_ms) for index, address in addresses.items() if address in found]
