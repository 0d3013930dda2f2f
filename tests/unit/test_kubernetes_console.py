"""The console's example for Kubernetes: closed like the rest, and reached by its ingress alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from config.reader import load_settings
from console.limits import MOST_BODY
from tasks.scheduled.fetching import LARGEST_BYTES

ROOT = Path(__file__).resolve().parents[2]
_YAML = YAML(typ="safe", pure=True)
DOCUMENTS: dict[str, Any] = {
    document["kind"]: document
    for document in _YAML.load_all((ROOT / "deploy/kubernetes/console.yml").read_text(encoding="utf-8"))
}
POD: Any = DOCUMENTS["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("### The console\n")[2].partition("\n## ")[0]


def test_the_pod_is_closed() -> None:
    """Not root, nothing writable but its /tmp, no capability, no token of the cluster's."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["automountServiceAccountToken"] is False
    context = CONTAINER["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_its_command_exists() -> None:
    """With options that it takes."""
    program, *words = CONTAINER["command"]
    assert program == "usher"
    argv = [sys.executable, "-c", "from cli import main; main()", *words, "--help"]
    assert subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode == 0


def test_everything_finds_its_pods() -> None:
    """Service, policy and budget name the deployment's labels; the ports meet."""
    labels = DOCUMENTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        DOCUMENTS["Deployment"]["spec"]["selector"]["matchLabels"],
        DOCUMENTS["Service"]["spec"]["selector"],
        DOCUMENTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        DOCUMENTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in selectors)
    (port,) = CONTAINER["ports"]
    assert f"--port={port['containerPort']}" in CONTAINER["command"]
    (served,) = DOCUMENTS["Service"]["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/healthz"


def test_only_the_ingress_reaches_it() -> None:
    """So it may believe whom a request is said to come from."""
    (rule,) = DOCUMENTS["NetworkPolicy"]["spec"]["ingress"]
    assert rule["from"]
    assert [port["port"] for port in rule["ports"]] == ["http"]
    (egress,) = DOCUMENTS["NetworkPolicy"]["spec"]["egress"]
    assert "169.254.0.0/16" in egress["to"][0]["ipBlock"]["except"]
    assert {"name": "FORWARDED_ALLOW_IPS", "value": "*"} in CONTAINER["env"]


def test_the_ingress_speaks_tls_and_takes_whole_lists() -> None:
    """As large as the console takes them, and without holding back progress."""
    ingress = DOCUMENTS["Ingress"]
    (rule,) = ingress["spec"]["rules"]
    assert [rule["host"]] == ingress["spec"]["tls"][0]["hosts"]
    told = ingress["metadata"]["annotations"]
    assert told["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{MOST_BODY >> 20}m"
    assert told["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    (tmp,) = (volume["emptyDir"] for volume in POD["volumes"] if volume["name"] == "tmp")
    assert int(tmp["sizeLimit"].removesuffix("Mi")) << 20 >= 2 * LARGEST_BYTES


def test_the_page_makes_its_secrets(tmp_path: Path) -> None:
    """And shows a sign-in that is sound, for a user of Redis that there is."""
    items = next(volume["secret"]["items"] for volume in POD["volumes"] if "secret" in volume)
    made = set(re.findall(r"> (\w+)$|> (\w+) ", PAGE, re.MULTILINE))
    made_names = {name for pair in made for name in pair if name}
    assert {"redis_console", "console_secret"} <= made_names
    assert {item["key"] for item in items} == {"redis_console", "ledger_key", "console_secret", "contoso"}
    assert "user usher-console " in (ROOT / "deploy/redis/users.acl").read_text(encoding="utf-8")
    assert "rediss://usher-console:" in PAGE
    table = re.search(r"^(    \[console\]\n(?:    .*\n)+)", PAGE, re.MULTILINE)
    assert table
    (tmp_path / "usher.toml").write_text(table[1].replace("\n    ", "\n").removeprefix("    "), encoding="utf-8")
    assert load_settings({}, tmp_path / "usher.toml").console.signs_in
