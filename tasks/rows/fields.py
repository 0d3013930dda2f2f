"""A list and its results have these words: the fields that a row may bring, the columns of a
results file.

Both are fixed interfaces: scripts elsewhere depend on them to the letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

FIELDS: Final = (
    "email",
    "display_name",
    "first_name",
    "last_name",
    "redirect_url",
    "message",
    "language",
    "cc",
    "send_message",
    "user_type",
    "company",
    "department",
    "job_title",
    "usage_location",
    "phone",
    "expires",
    "sponsors",
    "groups",
    "teams",
    "new_email",
    "connection",
    "ref",
)
"""What one row may say about a guest; only `email` must be there."""

CONNECTION: Final = "connection"
"""The field that says through which of several connections a row goes, and the first column of the
results of a list that went through several.
"""

CONNECTIONS: Final = "connections"
"""The column beside one's own list that says through which connections its row went."""

RESULT_COLUMNS: Final = (
    "row",
    "email",
    "display_name",
    "ref",
    "status",
    "user_id",
    "invitation_id",
    "redeem_url",
    "mail",
    "error_code",
    "error_message",
    "request_id",
    "attempts",
    "finished_at",
)
"""The columns of a results file, in this order."""

NOT_KEPT: Final = "error_code"
"""The column that a results file, fed back, tells of rows whose other cells are not in it."""
INVALID: Final = "invalid_row"
"""What stands there of a row that was refused for what a cell held: nobody knows what was meant."""

STATUS_OF: Final = "_status"
ERROR_OF: Final = "_error"
"""The endings of the columns that a results file has, last, for each stage of its job."""

FORESEEN_COLUMNS: Final = ("would", "why")
"""What a dry run adds to its list."""

WOULD_OF: Final = "_would"
WHY_OF: Final = "_why"
"""The endings of what it adds for each stage."""

OUTCOME_COLUMNS: Final = (*(column for column in RESULT_COLUMNS if column not in FIELDS), *FORESEEN_COLUMNS)
"""What results, or a dry run, add to a list: passed over when such a file is fed back."""

WELL_DONE: Final = frozenset(("done", "already"))
"""How a stage ended that is not done again."""


def stage_columns(stages: Iterable[str]) -> tuple[str, ...]:
    """Return the results' columns of some stages."""
    return tuple(stage + ending for stage in stages for ending in (STATUS_OF, ERROR_OF))


def foreseen_columns(stages: Iterable[str]) -> tuple[str, ...]:
    """Return what a dry run adds to its list, for some stages."""
    return (*FORESEEN_COLUMNS, *(stage + ending for stage in stages for ending in (WOULD_OF, WHY_OF)))


def stage_of(column: str) -> str:
    """Return the stage whose end a column tells, '' where it is none."""
    return column.removesuffix(STATUS_OF) if column.endswith(STATUS_OF) else ""
