"""What a platform answers means something for whoever has to act."""

from __future__ import annotations

import pytest

from worker.signin.aadsts import SigninKind
from worker.signin.kinds.managed_identity import SYSTEM, explain_platform


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (0, SigninKind.CONFIGURATION, "Nobody hands out tokens"),
        (200, SigninKind.CONFIGURATION, "update the agent"),
        (400, SigninKind.CONFIGURATION, "assign it to the machine"),
        (401, SigninKind.CONFIGURATION, "to the group himds"),
        (429, SigninKind.TRANSIENT, "tries again by itself"),
        (503, SigninKind.TRANSIENT, "tries again by itself"),
    ],
)
def test_each_answer_says_what_to_do(status: int, kind: SigninKind, said: str) -> None:
    """Or that nobody has to do anything."""
    trouble = explain_platform(SYSTEM, status, "managed_identity")
    assert (trouble.kind, said in trouble.sentence) == (kind, True)
