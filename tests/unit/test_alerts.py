"""Alert rules and dashboard: each alert fires when it must and is silent when it must not; no name
in them is made up.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.needs import need
from tests.pages import anchors_of

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/usher.rules.yml"
TRIALS = ROOT / "deploy/prometheus/usher.rules.test.yml"
DASHBOARD = ROOT / "deploy/grafana/usher.json"
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
METRICS = dict(
    re.findall(r"^\| `(usher_\w+)` \| (\w+) \|", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"), re.MULTILINE)
)
"""Name → type. That the program exposes just these is tested in
tests/unit/worker/metrics/test_exposition.py.
"""


def _load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def _rules() -> list[dict[str, Any]]:
    return [rule for group in _load(RULES)["groups"] for rule in group["rules"]]


def _unknown(expression: str) -> set[str]:
    """Metrics in an expression that nobody exposes."""
    series = set(METRICS)
    for name, kind in METRICS.items():
        if kind == "histogram":
            series |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    return set(re.findall(r"\busher_\w+", expression)) - series


def test_each_alert_fires_and_is_silent() -> None:
    """Prometheus's own judgement over made-up series."""
    promtool = need("prometheus")
    done = subprocess.run(
        [promtool, "test", "rules", TRIALS.name],
        cwd=TRIALS.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried_both_ways() -> None:
    """None is left out of the trials: once firing, once silent."""
    tried: dict[str, set[bool]] = {}
    for trial in _load(TRIALS)["tests"]:
        for case in trial["alert_rule_test"]:
            tried.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert tried == {rule["alert"]: {True, False} for rule in _rules()}


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_whom_it_wants_and_what_to_do(rule: dict[str, Any]) -> None:
    """Severity, owner, a sentence, and a runbook that is there."""
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["labels"]["owner"] in ("operator", "tenant-admin")
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/operations.md"
    assert anchor in anchors_of(OPERATIONS)
    assert not _unknown(rule["expr"])


def test_what_is_urgent_pages_somebody() -> None:
    """Sleep is cut short for standstill, and for nothing that can wait."""
    pages = {rule["alert"] for rule in _rules() if rule["labels"]["severity"] == "page"}
    assert pages == {
        "UsherNoProgress",
        "UsherLedgerUnreachable",
        "UsherNoWorker",
        "UsherNoBeat",
        "UsherRedisAlmostFull",
    }


def test_the_dashboard_names_metrics_that_exist() -> None:
    """Every panel asks for something that `usher metrics` exposes, and nearly all of that is
    shown.
    """
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [one["query"] for one in dashboard["templating"]["list"]]
    assert len(asked) > 20
    for expression in asked:
        assert not _unknown(expression), expression
    everything = " ".join(asked)
    assert not [name for name in METRICS if name not in everything]


def test_the_dashboard_draws_every_panel_somewhere_else() -> None:
    """Ids are unique and no two panels overlap."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert at["x"] + at["w"] <= 24
