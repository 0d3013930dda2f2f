"""docs/audit.md and `usher audit --what` name every kind of event there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from worker.ledger.audit.trail import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
_NAMES = r"(?:job|connection|everything|tenant|guest|schedule|console|producer)\.[a-z_]+"
_KIND = re.compile(rf"`({_NAMES})`")
_IN_CODE = re.compile(rf"""["']({_NAMES})["']""")


def test_the_page_names_every_kind_of_event() -> None:
    """As the code spells them."""
    sources = [
        *(path for path in ROOT.glob("worker/**/*.py") if path.name != "trail.py"),  # which only lists them
        *ROOT.glob("worker/ledger/scripts/*.lua"),
        *ROOT.glob("console/access/signin.py"),
        *ROOT.glob("tasks/producers.py"),
        *ROOT.glob("cli/guests/commands.py"),
        *ROOT.glob("cli/connections/forgetting.py"),
        *ROOT.glob("cli/schedules/changes.py"),
        *ROOT.glob("cli/producers/need.py"),
    ]
    in_code = {kind for path in sources for kind in _IN_CODE.findall(path.read_text(encoding="utf-8"))}
    in_page = {kind for line in PAGE.splitlines() if line.startswith("| `") for kind in _KIND.findall(line)}
    assert in_page == in_code
    assert {*KINDS} == {*in_code, "row"}
