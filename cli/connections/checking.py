"""Connections are checked a few at a time, and told of in sentences or as one object."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tasks.connections import choose_connections, untold_faults

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.services import Services

MANY = 40
"""Above so many each that is as it should be has one line."""
_AT_ONCE = 8


async def check_names(
    terminal: Terminal, place: Place, services: Services, wanted: str | None, features: tuple[str, ...]
) -> int:
    """Check the connections that are meant (`Settings.choose`); returns the exit status."""
    from tasks.checks.connection import check_connection, list_by_tenant

    names, results = choose_connections(place.settings, wanted), []
    for name in names:
        place.need_sandbox(name)
    brief = len(names) > MANY
    by_tenant = list_by_tenant(services) if brief else None
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        checked = await asyncio.gather(
            *(check_connection(services, name, features, by_tenant=by_tenant) for name in part)
        )
        for name, findings in zip(part, checked, strict=True):
            results.append((name, findings))
            _show_findings(terminal, name, findings, brief=brief)
    untold = untold_faults(place.settings, wanted)
    for fault in untold:
        terminal.warn(fault)
    fine = not (untold or place.settings.unread)
    fine = fine and all(finding.ok for _, findings in results for finding in findings)
    if brief:
        work = sum(all(finding.ok for finding in findings) for _, findings in results)
        terminal.show("", f"{len(names):,} connections: {work:,} work, {len(names) - work:,} need somebody.")
    if terminal.quiet:
        told = [
            {
                "connection": name,
                "ok": all(finding.ok for finding in findings),
                "findings": [{"ok": finding.ok, "what": finding.what} for finding in findings],
            }
            for name, findings in results
        ]
        terminal.print_json({"ok": fine, "connections": told})
    return 0 if fine else 1


def _show_findings(terminal: Terminal, name: str, findings: list[Any], *, brief: bool) -> None:
    """Show what was found; of one among many only what somebody has to see to."""
    from rich.text import Text

    from cli.ui.terminal import build_facts, build_mark
    from tasks.safe_text import clean

    if brief:
        findings = [found for found in findings if not found.ok or found.warns]
    if not findings:
        terminal.show(Text.assemble((name, "bold"), "  works"))
        return
    table = build_facts(
        (build_mark(ok=found.ok, optional=found.optional, warns=found.warns), clean(found.what)) for found in findings
    )
    terminal.show(Text(name, style="bold"), table)
