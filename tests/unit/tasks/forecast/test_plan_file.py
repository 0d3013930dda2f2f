"""A plan file: what it keeps, what it is sealed with, and what makes it void."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config import parse_connection
from tasks.errors import InputError
from tasks.forecast.plan_file import (
    MATTERS,
    Verdicts,
    check_seal,
    compare_connection,
    compare_version,
    describe_connection,
    read_plan,
    seal_plan,
)
from worker.operations.foreseen import Foreseen, Would
from worker.store.seal import Sealer

OLD, NEW = "an old key of sixteen letters", "a new key of sixteen letters"
TABLE = {"tenant_id": "contoso.com", "client_id": "c", "client_secret": "env:SECRET"}


def told(**changes: Any) -> dict[str, Any]:
    """A plan of three rows."""
    return {
        "usher_plan": 1,
        "usher": "0.1.0",
        "made_at": "2026-11-25T02:00:00+00:00",
        "list": {"name": "a.csv", "path": "/a.csv", "sha256": "x", "rows": 3},
        "connection": {"name": "contoso"},
        "options": {"resend": False},
        "read": {"delimiter": ";"},
        "whys": {"a": {"would": "skip", "code": "already_exists", "why": "There."}},
        "verdicts": "1i 2a",
        **changes,
    }


def written(folder: Path, sealer: Sealer | None, **changes: Any) -> Path:
    """The file of it."""
    path = folder / "plan.json"
    path.write_text(seal_plan(told(**changes), sealer))
    return path


def test_verdicts_are_kept_run_by_run() -> None:
    """A letter a code; of sentences that name a row's domain the form is kept once."""
    verdicts = Verdicts()
    for domain in ("a.example", "b.example"):
        verdicts.add(Foreseen(Would.DO), domain)
        verdicts.add(Foreseen(Would.DO, "deleted_lately", "Was deleted."), domain)
        verdicts.add(Foreseen(Would.REFUSE, "own_domain", f"{domain} is yours."), domain)
    assert verdicts.text() == "2i 1a 2i 1a"
    assert verdicts.whys == {"a": {"would": "refuse", "code": "own_domain", "why": "{domain} is yours."}}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Every row has its verdict again."""
    plan = read_plan(str(written(tmp_path, None)))
    assert (plan.connection, plan.path, plan.rows, plan.options) == ("contoso", "/a.csv", 3, {"resend": False})
    assert [verdict and verdict["would"] for verdict in plan.verdicts()] == [None, "skip", "skip"]


def test_the_seal_is_the_ledgers(tmp_path: Path) -> None:
    """It survives a new key in front of the old one, and nothing else."""
    plan = read_plan(str(written(tmp_path, Sealer([OLD]))))
    assert check_seal(plan, Sealer([OLD])) == ""
    assert check_seal(plan, Sealer([NEW, OLD])) == ""
    assert "another ledger key" in check_seal(plan, Sealer([NEW]))
    assert "none is configured" in check_seal(plan, None)
    path = tmp_path / "plan.json"
    path.write_text(path.read_text().replace('"1i 2a"', '"3i"'))
    assert "changed" in check_seal(read_plan(str(path)), Sealer([OLD]))


def test_without_a_key_a_change_shows_but_nothing_is_signed(tmp_path: Path) -> None:
    """And where there is a key, a plan without its seal is not believed."""
    path = written(tmp_path, None)
    assert check_seal(read_plan(str(path)), None) == ""
    assert "not sealed" in check_seal(read_plan(str(path)), Sealer([OLD]))
    path.write_text(path.read_text().replace('"1i 2a"', '"3i"'))
    assert "changed" in check_seal(read_plan(str(path)), None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "1", "{}", "null", "\x00", '{"usher_plan": 1}'),
        json.dumps(told(seal="sha256:x", verdicts="2i")),
        json.dumps(told(seal="sha256:x", verdicts="xi")),
        json.dumps(told(seal="sha256:x", options=[])),
        json.dumps(told(seal="sha256:x", list=None)),
    ],
)
def test_what_is_no_plan_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    """Whatever stands in the file."""
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"is not a plan of usher's"):
        read_plan(str(path))


def test_a_plan_of_another_format_is_to_be_made_anew(tmp_path: Path) -> None:
    """A newer usher may write more."""
    with pytest.raises(InputError, match="another version"):
        read_plan(str(written(tmp_path, None, usher_plan=2)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"redirect_url": "https://elsewhere.example"}, ["the connection's redirect_url"]),
        ({"client_id": "d"}, ["the connection's client_id"]),
        ({"blocked_domains": ["a.example"]}, ["the connection's blocked_domains"]),
        ({"client_secret": "env:OTHER"}, []),
        ({"ca_file": "/other.pem"}, []),
    ],
)
def test_of_the_connection_counts_whom_it_writes_to_and_how(
    tmp_path: Path, change: dict[str, Any], named: list[str]
) -> None:
    """A credential may be replaced meanwhile."""
    planned = describe_connection(parse_connection("contoso", TABLE), built_in=False)
    plan = read_plan(str(written(tmp_path, None, connection=planned)))
    now = describe_connection(parse_connection("contoso", {**TABLE, **change}), built_in=False)
    assert compare_connection(plan, now) == named
    assert set(MATTERS) <= set(planned)


@pytest.mark.parametrize(("version", "differs"), [("0.1.9", False), ("0.2.0", True), ("1.0.0", True), ("0.1.0", False)])
def test_another_major_version_makes_it_void(tmp_path: Path, version: str, differs: bool) -> None:
    """Before 1.0 the second number is the major one."""
    assert bool(compare_version(read_plan(str(written(tmp_path, None))), version)) is differs
