"""What set-up promises: locked, nothing of one machine in the lock, one sentence where it cannot
work.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests import needs

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)", re.MULTILINE)


def _pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / lock).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def project() -> Any:
    """pyproject.toml as plain data."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_machine_and_no_registry(lock: str) -> None:
    """pip takes packages from where the machine is told to: the lock says which, by hash, and never
    from where.
    """
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#.*|[a-z0-9-]+==[^ ]+( ;.*)? \\| {4}--hash=sha256:[0-9a-f]{64}( \\)?", line), line
        assert "://" not in line


def test_lock_holds_every_dependency(project: Any) -> None:
    """Whatever pyproject.toml asks for is pinned; the development lock repeats the other's pins
    exactly.
    """
    pins, dev_pins = _pins(LOCKS[0]), _pins(LOCKS[1])
    groups = project["dependency-groups"]
    wanted = {
        LOCKS[0]: project["project"]["dependencies"]
        + project["project"]["optional-dependencies"]["embedded"]
        + groups["build"],
        LOCKS[1]: [entry for entry in groups["dev"] if isinstance(entry, str)],
    }
    for lock, requirements in wanted.items():
        for requirement in requirements:
            name = re.split(r"[\[<>=;~! ]", requirement)[0].lower()
            assert name in _pins(lock), f"{name} is not in {lock}: make lock"
    assert pins.items() <= dev_pins.items()


def test_makefile_and_metadata_name_the_same_pythons(project: Any) -> None:
    """The versions that set-up accepts are those that the package accepts."""
    lowest, above = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["project"]["requires-python"]).groups()  # type: ignore[union-attr]
    versions = [f"3.{minor}" for minor in range(int(lowest), int(above))]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"{'|'.join(versions)})" in makefile
    assert " ".join(f"python{version}" for version in versions) in makefile
    assert f"Python {versions[0]} to {versions[-1]}" in makefile
    for version in versions:
        assert f"Programming Language :: Python :: {version}" in project["project"]["classifiers"]


def _make(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, folder)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    return subprocess.run(
        ["make", *words], cwd=folder, env=clean | env, capture_output=True, text=True, timeout=60, check=False
    )


def test_setup_without_python_is_one_sentence(tmp_path: Path) -> None:
    """A missing or too old Python is named, with what to do, and nothing is left behind."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 3.9\n", encoding="utf-8")
    old.chmod(0o755)
    done = _make(tmp_path, "setup", f"PYTHON={old} /nonexistent/python3")
    assert done.returncode != 0
    ours, makes = done.stderr.splitlines()
    assert ours.startswith(f"usher: Python 3.11 to 3.14 is needed and none was found, {old} is 3.9; install one")
    assert makes.startswith("make: ***")
    assert not (tmp_path / ".venv").exists()


def test_setup_without_venv_module_is_one_sentence(tmp_path: Path) -> None:
    """Debian's Python without python3-venv and without pip is told what to install."""
    bare = tmp_path / "python3"
    bare.write_text('#!/bin/sh\ncase "$*" in *version_info*) echo 3.11;; *) exit 1;; esac\n', encoding="utf-8")
    bare.chmod(0o755)
    done = _make(tmp_path, "setup", f"PYTHON={bare}")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith(
        f"usher: {bare} cannot make virtual environments: install its venv module"
    )


def test_needs_are_skipped_on_a_laptop_and_fail_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program is never passed over in silence: a skip that names it, and in CI a
    failure.
    """
    listed = needs.read_needs()
    assert listed
    for package, need in listed.items():
        assert package == need.package
        assert need.purpose
    monkeypatch.setenv("PATH", str(tmp_path))
    package = next(iter(listed))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"apt install {package}"):
        needs.need(package)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"apt install {package}"):
        needs.need(package)


@pytest.mark.parametrize(
    ("name", "copied"),
    [
        ("Dockerfile", r"^COPY (\w+) \1$"),
        (".dockerignore", r"^!(\w+)$"),
        ("deploy/compose/try", r"^    (\w+(?: \w+)*)\) \| tar"),
    ],
)
def test_every_package_gets_into_the_image(project: Any, name: str, copied: str) -> None:
    """A package that is built but not copied would make an image without its command."""
    found = re.findall(copied, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    include = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {one for one in include if not one.endswith(".*")} <= set(" ".join(found).split())
