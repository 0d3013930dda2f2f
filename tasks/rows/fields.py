"""A list and its results have these words: the fields that a row may bring, the columns of a
results file.

Both are fixed interfaces: scripts elsewhere depend on them to the letter.
"""

from __future__ import annotations

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
    "ref",
)
"""What one row may say about a guest; only `email` must be there."""

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

FORESEEN_COLUMNS: Final = ("would", "why")
"""What a dry run adds to its list."""

OUTCOME_COLUMNS: Final = (*(column for column in RESULT_COLUMNS if column not in FIELDS), *FORESEEN_COLUMNS)
"""What a results file, or a dry run, adds to its list: passed over in silence when such a file is
fed back.
"""
