"""Every link between the project's pages leads somewhere: the file is there, and so is the
heading.
"""

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
    for path in re.findall(r"`((?:config|worker|tasks|cli|sandbox|tests|deploy|docs|examples)/[\w./-]*)`", text):
        path = re.sub(r"/(?:test_)?(?:NAME|NOUN)\b.*", "", path)  # what is to be made: its folder is there
        if path != "deploy/compose/secrets/ledger_key":  # made by `init`
            assert (ROOT / path).exists(), path


def test_the_folder_table_says_where_to_begin_and_leaves_no_room_out() -> None:
    """Each module that it names is in one of its folders; every package that ships is in the
    table.
    """
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = [line.split("|")[1:4] for line in text.splitlines() if re.match(r"\| `\w+/", line)]
    rows = [(re.findall(r"`([\w/]+)/`", folders), re.findall(r"`([\w/.]+\.py)`", begin)) for folders, _, begin in table]
    for folders, modules in rows:
        for module in modules:
            assert any((ROOT / folder / module).is_file() for folder in folders), module
    rooms = {
        str(path.parent.relative_to(ROOT)) for top in ("worker", "tasks") for path in ROOT.glob(f"{top}/*/__init__.py")
    }
    assert rooms <= {folder for folders, _ in rows for folder in folders}
