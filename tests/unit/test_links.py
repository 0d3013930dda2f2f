"""Every link between the project's pages leads somewhere: the file is there, and so is the heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import anchors_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for start in (ROOT.glob("*.md"), *((ROOT / folder).rglob("*.md") for folder in ("docs", "deploy", "examples")))
    for path in start
    if ".venv" not in path.parts
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    """Relative links only; the rest of the web is not asked."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        to = (page.parent / name).resolve() if name else page
        assert to.exists(), target
        if anchor and to.suffix == ".md":
            assert anchor in anchors_of(to.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "docs/operations.md", "docs/metrics.md"])
def test_files_that_are_named_exist(name: str) -> None:
    """Paths of ours in backticks, folders ending in a slash."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:config|worker|tasks|sandbox|tests|deploy|docs)/[\w./-]*)`", text):
        if path != "deploy/compose/secrets/ledger_key":  # made by `init`
            assert (ROOT / path).exists(), path
