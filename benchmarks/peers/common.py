"""What the peers share: where to go, whom to invite, and saying what it took. Run as `python -m
benchmarks.peers.NAME` with USHER_PEER set.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass

REDIRECT_URL = "https://myapplications.microsoft.com"


@dataclass(frozen=True)
class Task:
    """One run, as the measurement wrote it into the environment."""

    tenant_id: str
    client_id: str
    client_secret: str
    authority: str
    graph_url: str  # with its version
    rows: int

    @property
    def scope(self) -> str:
        """Return what a token is asked for."""
        return f"{self.graph_url.removesuffix('/v1.0')}/.default"

    def invitation(self, number: int) -> dict[str, object]:
        """Return the body for one made-up guest."""
        return {
            "invitedUserEmailAddress": f"peer{os.getppid()}.{number}@partner{number % 50}.example",
            "invitedUserDisplayName": f"Guest {number}",
            "inviteRedirectUrl": REDIRECT_URL,
            "sendInvitationMessage": True,
        }


def read_task() -> Task:
    """Return what to do."""
    return Task(**json.loads(os.environ["USHER_PEER"]))


def wait_for_go() -> None:
    """Say that everything is warm, and wait for the word: start-up is not what is compared."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def tell(invited: int, failed: int) -> None:
    """Say how it ended."""
    sys.stdout.write(json.dumps({"invited": invited, "failed": failed}) + "\n")
    sys.stdout.flush()
