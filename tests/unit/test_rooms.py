"""The size of the rooms, what a reader can take in at one sitting; and the ways between them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    path
    for top in ("benchmarks", "cli", "config", "console", "sandbox", "tasks", "tests", "worker")
    for path in (ROOT / top).rglob("*.py")
    if "peers" not in path.parts  # programs of others that benchmarks compare with
]


def test_no_module_is_longer_than_400_lines() -> None:
    """What is longer holds two ideas."""
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in MODULES}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_no_folder_has_more_than_25_modules() -> None:
    """Whoever opens it sees all of it."""
    count = Counter(str(path.parent.relative_to(ROOT)) for path in MODULES)
    assert {name: modules for name, modules in count.items() if modules > 25} == {}


def test_no_module_comes_back_to_itself() -> None:
    """Not even by the types it names, which import-linter leaves out: who reads one of a circle has
    to read them all.
    """
    product = {
        _name_of(path): path for path in MODULES if path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")
    }
    ways = {name: {*_imports(path, product)} - {name} for name, path in product.items()}
    assert sum(map(len, ways.values())) > len(ways), "imports are seen"
    TopologicalSorter(ways).prepare()  # raises CycleError, which names the circle


def _name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, product: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from {full if full in product else node.module} & product.keys()
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & product.keys()
