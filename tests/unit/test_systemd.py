"""The units of systemd: valid, with commands and paths that there are, and as docs/linux-server.md
tells of them.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import need

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
PAGE = (ROOT / "docs/linux-server.md").read_text(encoding="utf-8")


def _read(unit: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.read_text(encoding="utf-8"))
    return {name: dict(section) for name, section in parser.items()}


def test_there_are_two() -> None:
    """A worker and a beat, which the page installs."""
    assert [unit.stem for unit in UNITS] == ["usher-beat", "usher-worker"]
    for unit in UNITS:
        assert f"deploy/systemd/{unit.name}" in PAGE


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_them_as_they_stand(unit: Path, tmp_path: Path) -> None:
    """Without a warning: a misspelt key would be ignored at every start. Only the program's folder
    is another one here.
    """
    copy = tmp_path / unit.name
    program = tmp_path / "usher/.venv/bin/usher"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    copy.write_text(
        unit.read_text(encoding="utf-8").replace("/opt/usher/.venv/bin/usher", str(program)), encoding="utf-8"
    )
    env = {"PATH": os.environ["PATH"], "SYSTEMD_LOG_LEVEL": "warning", "HOME": str(tmp_path)}
    done = subprocess.run(
        [need("systemd"), "verify", "--man=no", str(copy)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_they_run_as_their_own_account_from_the_pages_folders(unit: Path) -> None:
    """Not as root, with no right that is not needed; what they name is where the page puts it."""
    service = _read(unit)["Service"]
    assert (service["User"], service["Group"]) == ("usher", "usher")
    assert (service["NoNewPrivileges"], service["CapabilityBoundingSet"], service["ProtectSystem"]) == (
        "yes",
        "",
        "strict",
    )
    assert "MemoryMax" in service
    variables = dict(pair.split("=", 1) for pair in service["Environment"].split())
    assert f"`{Path(variables['USHER_CONFIG'])}`" in PAGE
    role = unit.stem.removeprefix("usher-")
    assert variables["USHER_REDIS_URL"] == f"file:/etc/usher/secrets/redis_{role}"
    assert re.search(rf"for role in .*\b{role}:", PAGE)
    assert f"`{variables['USHER_ALIVE_FILE']}`" in PAGE
    assert Path(variables["USHER_ALIVE_FILE"]).parent == Path("/run") / service["RuntimeDirectory"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_their_commands_exist(unit: Path) -> None:
    """With the options that they are given."""
    program, *words = _read(unit)["Service"]["ExecStart"].split()
    assert program == "/opt/usher/.venv/bin/usher"
    code = "from cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_stop_leaves_time_for_the_batch_on_the_wire() -> None:
    """And whatever ends them, they are started again, however often."""
    for unit in UNITS:
        parts = _read(unit)
        assert (parts["Service"]["Restart"], parts["Unit"]["StartLimitIntervalSec"]) == ("always", "0")
    assert int(_read(ROOT / "deploy/systemd/usher-worker.service")["Service"]["TimeoutStopSec"]) >= 50
