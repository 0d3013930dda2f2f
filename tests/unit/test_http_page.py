"""What docs/http.md and its example show is what the server has."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from console.app import build_app
from console.limits import MOST_BODY
from console.problems import Problem
from console.v1.bodies import MOST_JSON, MOST_LIST
from console.v1.order import MOST_ROWS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def document() -> Any:
    """The server's own OpenAPI document."""
    return build_app(lambda: nullcontext(None)).openapi()  # type: ignore[arg-type]  # nobody is served


def test_paths_that_are_shown_exist(document: Any) -> None:
    """Each address of the page is one of the document."""
    shown = set(re.findall(r"/v1/[a-zA-Z$/.-]*[a-zA-Z]", PAGE)) - {"/v1/openapi.json"}
    known = [re.compile(re.sub(r"\\{[a-z]+\\}", r"[^/?]+", re.escape(path)) + r"\Z") for path in document["paths"]]
    assert len(shown) > 8
    assert [path for path in shown if not any(one.match(path) for one in known)] == []


def test_bounds_are_the_servers() -> None:
    """The page's numbers are the code's."""
    assert f"{MOST_LIST >> 20} MB; rows in JSON {MOST_ROWS:,} and {MOST_JSON >> 20} MB" in PAGE
    assert MOST_BODY > MOST_LIST


def test_connector_is_a_part_of_the_document(document: Any) -> None:
    """Each operation, parameter and field of the file for Power Automate is the server's."""
    told = json.loads((ROOT / "examples" / "http" / "power-automate.json").read_text(encoding="utf-8"))
    assert told["swagger"] == "2.0"
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            own = document["paths"][path][method]
            assert operation["operationId"] == own["operationId"]
            names = {parameter["name"] for parameter in own["parameters"]}
            asked = [one for one in operation["parameters"] if "name" in one and one["in"] != "body"]
            assert {parameter["name"] for parameter in asked} <= names
            assert operation["responses"].keys() <= own["responses"].keys()
    schemas = document["components"]["schemas"]
    own = {"Order": "RowsOrder", "Submitted": "Submitted", "Job": "Job", "Rows": "Rows"}
    for name, schema in own.items():
        assert told["definitions"][name]["properties"].keys() <= schemas[schema]["properties"].keys()
    row = schemas["RowsOrder"]["properties"]["rows"]["items"]["properties"]
    assert told["definitions"]["Guest"]["properties"].keys() <= row.keys()
    read = told["definitions"]["Rows"]["properties"]["rows"]["items"]["properties"]
    assert read.keys() <= schemas["Row"]["properties"].keys()


def test_the_problem_of_the_page_has_the_title_of_an_answer() -> None:
    """Whatever Python serves it."""
    (title,) = re.findall(r'"title": "(.+?)", "status": 422', PAGE)
    told = json.loads(bytes(Problem(422, "no").response().body))
    assert told["title"] == title
