"""Connections are checked one by one, and told of in sentences or as one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.connections import choose_connections

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.services import Services


async def check_names(
    terminal: Terminal, place: Place, services: Services, wanted: str | None, features: tuple[str, ...]
) -> int:
    """Check the connections that are meant (`Settings.choose`); returns the exit status."""
    from tasks.checks.connection import check_connection

    results = []
    for name in choose_connections(place.settings, wanted):
        if place.is_built_in(name):
            place.need_worker(name)  # the sandbox runs beside a worker
        findings = await check_connection(services, name, features)
        results.append((name, findings))
        _show_findings(terminal, name, findings)
    fine = all(finding.ok for _, findings in results for finding in findings)
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


def _show_findings(terminal: Terminal, name: str, findings: list[Any]) -> None:
    from rich.text import Text

    from cli.ui.terminal import build_facts, build_mark, clean

    table = build_facts((build_mark(ok=found.ok, optional=found.optional), clean(found.what)) for found in findings)
    terminal.show(Text(name, style="bold"), table)
