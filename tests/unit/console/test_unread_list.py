"""A program that asks while the list of connections cannot be read is to ask again: nobody can tell
that a connection is not there.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config.reader import load_settings
from console.access.viewer import Kind, Role, Viewer
from console.problems import Problem, find_problem
from console.v1.consent import choose_connections
from console.v1.order import RowsOrder
from tests.unit.config.test_listed import APP, write
from worker.ledger.approval import Person

OWN = '[connections.own]\napp = "msp"\ntenant_id = "own.example"\ntags = ["eu"]\n'


def _choose(folder: Path, through: str) -> list[str]:
    path = write(folder, "", APP + OWN)
    (folder / "tenants.csv").unlink()
    settings = load_settings({}, path)
    services = cast("Any", SimpleNamespace(settings=lambda: settings))
    viewer = Viewer(Kind.LOCAL, Role.OPERATE, Person("ada", "here"))
    order = RowsOrder.model_validate({"connections": through, "rows": [{"email": "ann@fabrikam.example"}]})
    return choose_connections(services, viewer, order)


@pytest.mark.parametrize("through", ["alfa", "own,alfa", "tag:eu", "all"])
def test_who_may_stand_in_it_is_asked_for_later(tmp_path: Path, through: str) -> None:
    """Not refused for good: a program would give its guests up."""
    with pytest.raises(Exception) as error:
        _choose(tmp_path, through)
    problem = error.value if isinstance(error.value, Problem) else find_problem(error.value)
    assert (problem.status, problem.headers.get("Retry-After")) == (503, "60"), problem.detail
    assert "nothing was accepted: ask again later" in problem.detail
    assert "tenants.csv" not in problem.detail


def test_others_go_on(tmp_path: Path) -> None:
    """Those of the configuration, and the built-in one."""
    assert _choose(tmp_path, "own,sandbox") == ["own", "sandbox"]
