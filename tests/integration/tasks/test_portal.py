"""The portal example, as its README says: an environment of its own with only `celery[redis]`,
against a running usher.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher

PORTAL = ROOT / "examples" / "portal"


def _pip() -> list[str]:
    """Any pip of this machine: it fills environments that have none (Debian takes pip out of new
    ones).
    """
    for python in dict.fromkeys([sys.executable, str(getattr(sys, "_base_executable", "")), "python3"]):
        if (
            python
            and subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
        ):
            return [python, "-m", "pip"]
    return []


@pytest.fixture(scope="module")
def portal_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds what the portal's requirements name, in the locked
    versions.
    """
    folder = tmp_path_factory.mktemp("portal")
    pins = re.findall(
        r"^([a-z0-9_.-]+==[^ ;\\]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins), encoding="utf-8")
    python = folder / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    pip = _pip()
    said = "there is no pip on this machine"
    if pip:
        install = ["--python", str(python), "install", "--no-input", "-q", "-r", str(PORTAL / "requirements.txt")]
        done = subprocess.run([*pip, *install, "-c", str(constraints)], capture_output=True, text=True, check=False)
        said = done.stderr.strip()
        if done.returncode == 0:
            return python
    sentence = f"celery[redis] cannot be installed for the portal: {said[-300:]}"
    if os.environ.get("CI"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def _tables(ready: dict[str, Any]) -> str:
    wrong = Path(ready["ca_file"]).parent / "wrong-secret"
    wrong.write_text("no-such-secret", encoding="utf-8")
    locked = connection_table("locked", ready, client_secret=f'"file:{wrong}"', tenant_id='"other.example"')
    return f"{connection_table('contoso', ready)}\n{locked}"


@pytest.fixture(scope="module")
def usher() -> Iterator[Usher]:
    """Valkey, the sandbox and one worker."""
    folder = Path(tempfile.mkdtemp(prefix="portal", dir="/tmp"))
    try:
        with run_usher(folder, sandbox_options=("--replication", "0"), tables=_tables) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(python: Path, usher: Usher, *arguments: str) -> tuple[int, str]:
    env = {"PATH": os.environ["PATH"], "USHER_BROKER": usher.broker_url, "USHER_RESULTS": usher.broker_url}
    done = subprocess.run(
        [python, "-I", PORTAL / "portal.py", *arguments],
        env=env,
        cwd=usher.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()


def test_the_portal_gets_an_outcome_a_pending_and_a_refusal(portal_python: Path, usher: Usher) -> None:
    """Each said in one line; the guest is mailed once, the waiting one not at all."""
    status, said = _run(portal_python, usher, "contoso", "ann@fabrikam.example", "display_name=Ann Lee")
    guest = usher.sandbox.ask("guests?address=ann@fabrikam.example")[0]
    assert (status, said) == (0, f"invited: {guest['id']}")
    assert (guest["mails"], guest["display_name"]) == (1, "Ann Lee")

    status, said = _run(portal_python, usher, "locked", "bob@fabrikam.example", "wait_s=1")
    assert status == 0, said
    assert re.match(r"pending in job [a-z2-7]{16}: \S", said)

    status, said = _run(portal_python, usher, "contoso", "carl@fabrikam.example", "displayname=Carl")
    assert (status, said) == (1, "refused: displayname is not a field; did you mean display_name?")
    assert [mail["to"] for mail in usher.sandbox.ask("mails")] == ["ann@fabrikam.example"]


def test_the_portal_imports_nothing_of_usher(portal_python: Path) -> None:
    """Its environment holds Celery and a Redis client, and no package of this project."""
    code = (
        "import importlib.util as u; print([n for n in ('worker', 'tasks', 'config', 'msal', 'aiohttp') if"
        " u.find_spec(n)])"
    )
    done = subprocess.run([portal_python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    lines = (PORTAL / "portal.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line]) <= 25
