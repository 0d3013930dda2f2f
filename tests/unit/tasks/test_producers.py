from __future__ import annotations

from pathlib import Path

from tasks.producers import notify_hosts
from tests.configs import CONTOSO, load

TABLES = """
[producers.hr]
token = "file:hr"
connections = ["contoso"]
[producers.crm]
token = "file:crm"
connections = ["contoso"]
"""


def test_a_producer_names_hosts_that_all_may_name(tmp_path: Path) -> None:
    """Its own list narrows the one of `[notify]`, and never widens it."""
    text = CONTOSO + '[notify]\nhosts = ["a.example", "b.example"]' + TABLES
    told = load(tmp_path, text + 'notify_hosts = ["b.example", "c.example"]')
    assert notify_hosts(told, told.producers["crm"]) == ("b.example",)
    assert notify_hosts(told, told.producers["hr"]) == ("a.example", "b.example")
    assert notify_hosts(told, None) == ("a.example", "b.example")
