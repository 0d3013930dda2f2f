"""Jobs of a connection with `require_approval`: held when they are submitted, until somebody other than the submitter approves them. Pure.

The state is the ledger's (`approval` of the job), so nothing but `approve_job.lua` lets such a job run. A worker asks once a chunk: a
list that was submitted by somebody whose configuration does not say `require_approval` is held by the first worker whose does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WANTED = "wanted"
"""`approval` of a job that waits; an approved one has the approver there."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a keyboard, as the operating system knows them. `behind`: the account that became this one by sudo."""

    user: str
    host: str
    behind: str = ""

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"


def submitter_of(info: Mapping[str, Any]) -> str:
    """Return who submitted a job, in words."""
    by, host = str(info.get("by") or ""), str(info.get("host") or "")
    return f"{by}@{host}" if by and host else by


def explain(job: str, connection: str, info: Mapping[str, Any]) -> str:
    """Return why a job waits, and who must do what."""
    submitter = submitter_of(info)
    other = f"somebody other than {submitter}" if submitter else "somebody else"
    return (
        f"Connection {connection} requires approval, so nothing of this job is sent until {other} has looked at it "
        f"(usher jobs show {job}) and approves it (usher jobs approve {job})."
    )


def refuse(job: str, info: Mapping[str, Any], person: Person) -> str:
    """Return why this person may not approve a job, '' where they may: it is their own."""
    own = info.get("by") in (person.user, person.behind) and info.get("host") == person.host
    if not own:
        return ""
    return f"Job {job} was submitted by {submitter_of(info)}: somebody else must approve it. Nothing was sent."
