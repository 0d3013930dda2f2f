"""Rows and items carry these fields beside those of a list: no column brings them, and no message
may (`tasks/rows/fields.py`).
"""

from __future__ import annotations

UNSURE = "unsure"
"""Set in an item that may have been done before: the ledger may have been put back to an earlier
state since its guest was invited.
"""

THEN = "then"
"""Set in a row of a root that does nothing itself: the operation, or a list of them, that its guest
goes on to.
"""

INTERNAL = "internal"
"""Set in a row of such a root: its guest need not have come by an invitation."""

WHY = "why"
"""Set in a row of such a root: why its guest is meant, or why nothing can be done, in words."""

DID = "did"
"""Set in a row that undoes what a job did: the job and, where that is known, a space and when
its row ended.
"""

BECAUSE = "because"
"""Set in a row of a clean-up: the code of why something is to be done."""

SEEN = "seen_at"
"""Set in a row of a clean-up: when the guest signed in, as the list was made (ISO text)."""
