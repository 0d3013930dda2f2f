"""The example for Kubernetes: closed like the Compose stack, and naming nothing that does not
exist.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ruamel.yaml import YAML

from config.reader import load_settings
from tasks.scheduled.fetching import LARGEST_BYTES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS: list[Any] = list(
    YAML(typ="safe", pure=True).load_all((ROOT / "deploy/kubernetes/usher.yml").read_text(encoding="utf-8"))
)
PODS = {d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in DOCUMENTS if d["kind"] == "Deployment"}
CONFIG: str = next(d for d in DOCUMENTS if d["kind"] == "ConfigMap")["data"]["usher.toml"]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("### Kubernetes\n")[2].partition("\n##")[0]
SECRETS = set(re.findall(r"--from-file=(\w+)(?= |$)", PAGE, re.MULTILINE))
"""What the page's `kubectl create secret` makes."""
POLICIES = {d["metadata"]["name"]: d["spec"] for d in DOCUMENTS if d["kind"] == "NetworkPolicy"}


def _items(pod: Any) -> dict[str, str]:
    """Which key of the Secret a pod finds under which name."""
    (secret,) = (volume["secret"] for volume in pod["volumes"] if "secret" in volume)
    assert secret["secretName"] == "usher"
    return {item["path"]: item["key"] for item in secret["items"]}


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
            [sys.executable, "-c", "from cli import main; main()", *words, "--help"],
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
    mounted = set().union(*(_items(pod) for pod in PODS.values()))
    assert set(re.findall(r"file:/run/secrets/usher/(\w+)", CONFIG)) == mounted
    assert set().union(*(_items(pod).values() for pod in PODS.values())) == SECRETS


def test_no_secret_is_in_the_file() -> None:
    """An empty one, applied again, would empty what is there: it is made apart, as the page
    says.
    """
    assert not [document for document in DOCUMENTS if document["kind"] == "Secret"]
    assert {"redis_worker", "redis_beat", "redis_metrics", "ledger_key", "metrics_token", "contoso"} == SECRETS


def test_only_who_needs_a_secret_has_it() -> None:
    """Each has its own login of Redis; the metrics their token besides; the ledger's key and
    credentials are the workers' alone.
    """
    assert _items(PODS["usher-beat"]) == {"redis_url": "redis_beat"}
    assert _items(PODS["usher-metrics"]) == {"redis_url": "redis_metrics", "metrics_token": "metrics_token"}
    assert _items(PODS["usher-worker"])["redis_url"] == "redis_worker"
    assert "metrics_token" not in _items(PODS["usher-worker"])


def test_redis_is_reached_over_tls(tmp_path: Path) -> None:
    """The page's URLs are `rediss://` with users that there are, and their authority's certificate
    is where the pods have it.
    """
    urls = dict(re.findall(r"echo '(.*)' > redis_(\w+)", PAGE))
    assert {role: urlsplit(url).username for url, role in urls.items()} == {
        "worker": "usher-worker",
        "beat": "usher-beat",
        "metrics": "usher-reader",
    }
    users = (ROOT / "deploy/redis/users.acl").read_text(encoding="utf-8")
    for url in urls:
        parts = urlsplit(url)
        assert (parts.scheme, parts.port) == ("rediss", 6380)
        assert f"user {parts.username} " in users
        authority = Path(parse_qs(parts.query)["ssl_ca_certs"][0])
        for pod in PODS.values():
            (mount,) = (m for c in pod["containers"] for m in c["volumeMounts"] if m["name"] == "redis-ca")
            assert authority.parent == Path(mount["mountPath"])


def test_the_network_lets_through_what_is_needed_and_no_more() -> None:
    """Nothing comes in but Prometheus; out go DNS and Redis over TLS, and https from workers, not
    to the machine's metadata.
    """
    everyone = POLICIES["usher"]
    assert (everyone["policyTypes"], everyone["ingress"]) == (["Ingress", "Egress"], [])
    for pod in DOCUMENTS:
        if pod["kind"] == "Deployment":
            assert (
                everyone["podSelector"]["matchLabels"].items() <= pod["spec"]["template"]["metadata"]["labels"].items()
            )
    ports = {port["port"] for rule in everyone["egress"] for port in rule["ports"]}
    assert ports == {53, 6380}
    (https,) = POLICIES["usher-worker"]["egress"]
    assert [port["port"] for port in https["ports"]] == [443]
    assert "169.254.0.0/16" in https["to"][0]["ipBlock"]["except"]
    (scrape,) = POLICIES["usher-metrics"]["ingress"]
    assert scrape["from"]
    assert [port["port"] for port in scrape["ports"]] == ["metrics"]


def test_a_workers_tmp_holds_the_largest_list() -> None:
    """One that is fetched and another beside it; on disk, so that it is no memory of the
    worker's.
    """
    (tmp,) = (volume["emptyDir"] for volume in PODS["usher-worker"]["volumes"] if volume["name"] == "tmp")
    assert int(tmp["sizeLimit"].removesuffix("Mi")) << 20 >= 2 * LARGEST_BYTES
    assert "medium" not in tmp


@pytest.mark.parametrize("name", ["usher-worker", "usher-beat"])
def test_a_hanging_process_is_noticed(name: str) -> None:
    """The probe looks at the file that the process touches."""
    (container,) = PODS[name]["containers"]
    (alive,) = (variable["value"] for variable in container["env"] if variable["name"] == "USHER_ALIVE_FILE")
    assert alive in " ".join(container["livenessProbe"]["exec"]["command"])


def test_a_worker_stops_warm() -> None:
    """A stop leaves time for the batch on the wire."""
    assert PODS["usher-worker"]["terminationGracePeriodSeconds"] >= 50
