"""An approval is bound to what was looked at: one digest of list, options, connection and what a
dry run said of the rows. Pure.

List and options of a job never change once it is submitted. The digest shows later what else its
approver looked at: the connection's settings at that time and place, and how many rows would be
done, skipped or refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.ledger.job_view import JobView

MATTERS: Final = (
    *("tenant_id", "client_id", "cloud", "authority", "graph_url", "redirect_url", "send_message", "allowed_domains"),
    *("blocked_domains", "pace", "daily_limit", "precheck", "on_doubt", "refusals_in_a_row", "refused_share"),
    *("require_approval", "deliver", "mailbox"),
)
"""What of a connection counts: whom it writes to, and how. Not the credential, which is replaced
now and then.
"""


def describe_approved(view: JobView, connection: Connection | None, would: Mapping[str, int]) -> dict[str, Any]:
    """Return what is kept with an approval: `digest`, and the parts of it that the job does not
    tell already.

    `connection`: None where it is not known here. `would`: rows by what a dry run said of them,
    empty where none was made.
    """
    settings = connection.model_dump(mode="json", include=set(MATTERS)) if connection else {}
    parts: dict[str, Any] = {"rows": view.counts.pending}
    if settings:
        parts["settings"] = _digest(settings)
    if would:
        parts["would"] = dict(would)
    whole = {
        **parts,
        "job": view.id,
        "list": str(view.info.get("sha256", "")),
        "operation": view.operation,
        "options": asdict(view.options),
        "connection": view.connection,
    }
    return {"digest": _digest(whole), **parts}


def _digest(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
