"""The example for Kubernetes: closed like the Compose stack, and naming nothing that does not exist."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.reader import load_settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS: list[Any] = list(
    YAML(typ="safe", pure=True).load_all((ROOT / "deploy/kubernetes/usher.yml").read_text(encoding="utf-8"))
)
PODS = {d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in DOCUMENTS if d["kind"] == "Deployment"}
CONFIG: str = next(d for d in DOCUMENTS if d["kind"] == "ConfigMap")["data"]["usher.toml"]
SECRETS: dict[str, str] = next(d for d in DOCUMENTS if d["kind"] == "Secret")["stringData"]


def test_there_is_what_an_installation_needs() -> None:
    """A worker, a beat and the metrics, each of them a Deployment whose selector finds its pods."""
    assert set(PODS) == {"usher-worker", "usher-beat", "usher-metrics"}
    for document in DOCUMENTS:
        assert {"apiVersion", "kind", "metadata"} <= set(document)
        if document["kind"] == "Deployment":
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("name", PODS)
def test_every_pod_is_closed(name: str) -> None:
    """Not root, nothing writable but memory, no capability, no token of the cluster's."""
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not any("USHER_REDIS_URL" in str(variable) for variable in container["env"])


@pytest.mark.parametrize("name", PODS)
def test_every_command_exists(name: str) -> None:
    """What the containers start is a command that usher has, with options that it takes."""
    for container in PODS[name]["containers"]:
        program, *words = container["command"]
        assert program == "usher"
        done = subprocess.run(
            [sys.executable, "-c", "from tasks.cli import main; main()", *words, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_the_configuration_is_sound_and_its_secrets_are_there(tmp_path: Path) -> None:
    """Each reference is to a key of the Secret, where it is mounted."""
    (tmp_path / "usher.toml").write_text(CONFIG, encoding="utf-8")
    settings = load_settings({"USHER_REDIS_URL": "redis://redis:6379/0"}, tmp_path / "usher.toml")
    assert "contoso" in settings.connections
    text = str(tomllib.loads(CONFIG))
    assert all(f"file:/run/secrets/usher/{key}" in text for key in SECRETS)
    assert text.count("file:/run/secrets/usher/") == len(SECRETS)
    assert not any(SECRETS.values())


def test_only_who_needs_a_secret_has_it() -> None:
    """beat gets the Redis URL, the metrics their token besides; the ledger's key and credentials are the workers' alone."""
    items = {}
    for name, pod in PODS.items():
        (secret,) = (volume["secret"] for volume in pod["volumes"] if "secret" in volume)
        items[name] = {item["key"] for item in secret["items"]} if "items" in secret else set(SECRETS)
    assert items["usher-beat"] == {"redis_url"}
    assert items["usher-metrics"] == {"redis_url", "metrics_token"}


def test_a_worker_is_probed_by_its_file_and_stops_warm() -> None:
    """The probe looks at the file that the worker touches; a stop leaves time for the batch on the wire."""
    worker = PODS["usher-worker"]
    (container,) = worker["containers"]
    (alive,) = (variable["value"] for variable in container["env"] if variable["name"] == "USHER_ALIVE_FILE")
    assert alive in " ".join(container["livenessProbe"]["exec"]["command"])
    assert worker["terminationGracePeriodSeconds"] >= 50
