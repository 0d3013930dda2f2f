"""`check_connections`: sign in everywhere, and say whose credential is refused or ends soon, and
what else somebody has to do.
"""

from __future__ import annotations

from datetime import timedelta

from tasks.checks.connection import SOON, check_connection
from tasks.scheduled.context import Context, Told

_SHOWN = 3


async def run(context: Context) -> Told:
    """Check the schedule's connection, or all that are configured."""
    only, within = context.schedule.connection, context.schedule.args.get("within")
    names = [only] if only else sorted(context.services.settings().connections)
    soon = timedelta(seconds=within) if within else SOON
    faults: dict[str, list[str]] = {}
    details = []
    for name in names:
        findings = await check_connection(context.services, name, soon=soon)
        faults[name] = [finding.what for finding in findings if not finding.ok]
        details += [f"{name}: {finding.what}" for finding in findings]
    troubled = [name for name in names if faults[name]]
    if not names:
        return Told("No connection is configured, so none was checked.", "attention")
    if not troubled:
        return Told(
            f"{'The connection works' if len(names) == 1 else f'All {len(names)} connections work'}.",
            details=tuple(details),
        )
    said = " ".join(f"{name}: {' '.join(faults[name])}" for name in troubled[:_SHOWN])
    more = f" {len(troubled) - _SHOWN} more are troubled." if len(troubled) > _SHOWN else ""
    return Told(
        f"{len(troubled)} of {len(names)} connections need somebody. {said}{more}", "attention", (), tuple(details)
    )
