"""A job of a connection with `require_approval` is held until somebody other than its submitter
approves it. Pure.

The state is the ledger's (`approval` of the job), so nothing but `approve_job.lua` lets such a job
run. A worker asks once a chunk: a list that was submitted by somebody whose configuration does not
say `require_approval` is held by the first worker whose does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WANTED = "wanted"
"""`approval` of a job that waits; an approved one has the approver there."""


SUBMITTER = ("by", "host", "behind", "stated", "sign_in")
"""What a job's `info` holds of the person who submitted it; see `Person.to_info`. A producer or a
schedule has no `host` that is a desk's.
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A person is somebody at a keyboard, as the operating system knows them. `behind`: the account
    that became this one by sudo.

    `stated`: who they say they are, where several people share an account, as in a container.

    Who signed in (`sign_in`: "entra") is known by Entra's ids of them and of their tenant, which
    stand as `user` and `host`; their name is `stated`, what their account is called `behind`.
    """

    user: str
    host: str
    behind: str = ""
    stated: str = ""
    sign_in: str = ""

    def __str__(self) -> str:
        account = f"{self.user}@{self.host}"
        return f"{self.stated} ({account})" if self.stated else account

    @property
    def name(self) -> str:
        """Return one word for them."""
        return self.stated or self.user

    def to_info(self) -> dict[str, str]:
        """Return what a job that this person submits keeps of them."""
        told = dict(zip(SUBMITTER, (self.user, self.host, self.behind, self.stated, self.sign_in), strict=True))
        return {name: value for name, value in told.items() if value}


def read_submitter(info: Mapping[str, Any]) -> Person:
    """Return who submitted a job; without a host where that was no person."""
    return Person(*(str(info.get(name) or "") for name in SUBMITTER))


def submitter_of(info: Mapping[str, Any]) -> str:
    """Return who submitted a job, in words."""
    submitter = read_submitter(info)
    return str(submitter) if submitter.user and submitter.host else submitter.user


def shown_submitter(info: Mapping[str, Any]) -> str:
    """Return the same as a sentence has it: of who signed in the name, without Entra's ids."""
    submitter = read_submitter(info)
    return submitter.stated if submitter.sign_in and submitter.stated else submitter_of(info)


def is_same(one: Person, other: Person) -> bool:
    """Tell whether two may be one human being. The host does not count: each container has a new
    one, and people move about.

    Of two who signed in their ids decide. Else what both of them state; where either states
    nothing, or has signed in, one name in common is enough: whoever states a name only to approve
    is still known by the account.
    """
    if one.sign_in and other.sign_in:
        return (one.user, one.host) == (other.user, other.host)
    if one.stated and other.stated and not (one.sign_in or other.sign_in):
        return one.stated.casefold() == other.stated.casefold()
    names = [{name.casefold() for name in (each.user, each.behind, each.stated)} for each in (one, other)]
    return bool(names[0] & names[1] - {""})


def read_approved(info: Mapping[str, Any]) -> dict[str, str]:
    """Return what a job's approver looked at, in words: `digest`, and `would` of a dry run."""
    approved = info.get("approved") or {}
    would = ", ".join(f"{word} {rows}" for word, rows in (approved.get("would") or {}).items())
    told = {"digest": str(approved.get("digest", "")), "would": would}
    return {name: text for name, text in told.items() if text}


def other_person(info: Mapping[str, Any]) -> str:
    """Return who may approve a job, in words."""
    submitter = shown_submitter(info)
    return f"somebody other than {submitter}" if submitter else "somebody else"


def explain(job: str, connection: str, info: Mapping[str, Any]) -> str:
    """Return why a job waits, and who must do what."""
    return (
        f"Connection {connection} requires approval, so nothing of this job is sent until {other_person(info)} has"
        f" looked at it (usher jobs show {job}) and approves it (usher jobs approve {job})."
    )


def refuse(job: str, info: Mapping[str, Any], person: Person) -> str:
    """Return why this person may not approve a job, '' where they may: it is their own."""
    submitter = read_submitter(info)
    if not submitter.host or not is_same(submitter, person):
        return ""
    refusal = f"Job {job} was submitted by {shown_submitter(info)}: somebody else must approve it. Nothing was sent."
    if submitter.host != person.host and not (submitter.sign_in and person.sign_in):
        refusal += (
            " An account is one person, whatever its host: people who share one say who they are, USHER_ACTOR=NAME, "
            "when they submit and when they approve."
        )
    return refusal
