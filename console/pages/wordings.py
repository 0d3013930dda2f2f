"""States, outcomes and reasons are put into a reader's words: what the ledger calls by a letter or
a name.

The texts are the catalogues' keys, marked by `N_`; templates look them up: `_(words.STATES[…])`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from console.options import rename_options
from tasks.messages.views import describe_job
from worker.ledger.gates import HoldReason
from worker.ledger.model import JobState

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a text for the catalogues, and leave it as it is."""
    return text


STATES: Final[Mapping[str, str]] = {
    JobState.LOADING: N_("being read"),
    JobState.RUNNING: N_("running"),
    JobState.PAUSED: N_("paused"),
    JobState.HELD: N_("held"),
    JobState.DONE: N_("done"),
    JobState.CANCELLED: N_("cancelled"),
}
STATE_LOOKS: Final[Mapping[str, str]] = {
    JobState.LOADING: "quiet",
    JobState.RUNNING: "",
    JobState.PAUSED: "warn",
    JobState.HELD: "bad",
    JobState.DONE: "good",
    JobState.CANCELLED: "quiet",
}
OUTCOMES: Final[Mapping[str, str]] = {
    "invited": N_("invited"),
    "already_guest": N_("guests already"),
    "done": N_("done"),
    "already": N_("so already"),
    "skipped": N_("skipped"),
    "failed": N_("failed"),
    "in_doubt": N_("in doubt"),
    "pending": N_("still to do"),
    "cancelled": N_("cancelled"),
}
OUTCOME_LOOKS: Final[Mapping[str, str]] = {
    "invited": "good",
    "done": "good",
    "failed": "bad",
    "in_doubt": "warn",
    "pending": "",
    "already_guest": "quiet",
    "already": "quiet",
    "skipped": "quiet",
    "cancelled": "quiet",
}
OPERATIONS: Final[Mapping[str, str]] = {
    "invite": N_("Invite"),
    "profile": N_("Profile"),
    "sponsors": N_("Sponsors"),
    "groups": N_("Groups"),
    "teams": N_("Teams"),
    "mail": N_("Own e-mail"),
    "remind": N_("Remind"),
    "reset": N_("Reset"),
    "disable": N_("Disable"),
    "enable": N_("Enable"),
    "delete": N_("Delete"),
    "restore": N_("Restore"),
    "clean": N_("Clean"),
    "undo": N_("Undo"),
    "sync": N_("Sync"),
    "update": N_("Update"),
    "move": N_("Move"),
    "leave": N_("Leave groups"),
}
HOLDS: Final[Mapping[str, str]] = {
    HoldReason.CREDENTIAL: N_(
        "Microsoft refuses the sign-in of this connection. Whoever runs usher has to give it a valid credential; the"
        " hold then ends by itself."
    ),
    HoldReason.PERMISSION: N_(
        "The application lacks a permission. An administrator of the tenant has to grant it; usher tries again by"
        " itself."
    ),
    HoldReason.TENANT: N_(
        "A setting of the tenant forbids invitations. An administrator of the tenant has to change it; usher tries"
        " again by itself."
    ),
    HoldReason.DIRECTORY_FULL: N_(
        "The tenant's directory is full. An administrator has to make room; usher tries again by itself."
    ),
    HoldReason.DAILY_LIMIT: N_("Today's limit of this connection is used up. It goes on by itself after midnight UTC."),
    HoldReason.ABUSE: N_(
        "Microsoft has blocked invitations of this tenant. Its support has to lift the block first; then somebody who"
        " operates usher reopens the connection here."
    ),
    HoldReason.OPERATOR: N_("Somebody who operates usher holds it. It stays so until it is reopened here."),
    HoldReason.RESTORED: N_(
        "Redis was restored from a backup, and not every row can be verified. Whoever runs usher has to look, and"
        " reopens it then."
    ),
    HoldReason.KEY: N_("No worker can read the ledger's key. Whoever runs usher has to provide it."),
}
"""What a hold means and who ends it, for the reader; the ledger's sentence has the details."""
RUNS: Final[Mapping[str, str]] = {
    "ok": N_("well"),
    "attention": N_("needs attention"),
    "failed": N_("failed"),
    "running": N_("running"),
}
RUN_LOOKS: Final[Mapping[str, str]] = {"ok": "good", "attention": "warn", "failed": "bad", "running": ""}
GUEST_STATES: Final[Mapping[str, str]] = {
    "pending": N_("invited, not accepted yet"),
    "accepted": N_("accepted"),
    "unknown": N_("came another way"),
}
WOULD: Final[Mapping[str, str]] = {
    "do": N_("would be done"),
    "skip": N_("would be skipped"),
    "refuse": N_("would be refused"),
}
LINES: Final[Mapping[str, str]] = {
    "invite": N_("would be invited"),
    "skip": N_("would be skipped"),
    "refuse": N_("would be refused"),
}
"""Of a dry run of invitations."""
ONLY_OPERATORS: Final = N_("Only who may operate takes something away from guests.")
ROLES: Final[Mapping[str, str]] = {
    "view": N_("may look"),
    "submit": N_("may submit"),
    "approve": N_("may approve"),
    "operate": N_("may operate"),
}

_FIELD_OF: Final = {
    "accept-bad": "“Send the good rows even where many are bad”",
    "strict": "“Send nothing if any row is bad”",
    "resend": "“Mail guests again who are in the tenant already”",
    "map": "“The column with the addresses”",
    "delimiter": "“What separates the cells”",
    "header-line": "“The line with the headings”",
    "sheet": "“Sheet of an Excel file”",
    "pilot": "“Pilot”",
    "group": "“Groups”",
    "sponsor": "“Sponsors”",
    "team": "“Teams”",
    "no-send-message": "“E-mail to the guests: no”",
}


def as_fields(sentence: object) -> str:
    """Return a sentence that names options of the command with the names of the pages' fields."""
    return rename_options(str(sentence), lambda option: _FIELD_OF.get(option, f"--{option}"))


def list_counts(view: JobView) -> list[tuple[str, int]]:
    """Return a job's rows by how they ended, in the order of `OUTCOMES`: those that it may have."""
    told = describe_job(view)
    return [(name, told[name]) for name in OUTCOMES if isinstance(told.get(name), int)]
