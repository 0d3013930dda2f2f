"""Which connections a text may mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.connections import choice_fault, means_several
from tests.configs import CONTOSO, load


@pytest.mark.parametrize(
    ("text", "several"),
    [("contoso", False), ("a,b", True), ("tag:eu", True), (" all ", True), ("allan", False), ("a, ", False)],
)
def test_a_single_name_is_not_several(text: str, several: bool) -> None:
    """A tag or `all` may mean several even where it means one now."""
    assert means_several(text) is several


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("contoso, tag:nobody-has-it", ""),
        ("all", ""),
        ("contoso,contosso", "names no connection that is configured (did you mean contoso?)"),
        ("tag:", "holds tag: without a tag of a-z, 0-9 and -"),
        (" , ", "must be the name of a connection"),
    ],
)
def test_what_can_mean_no_connection_is_told(text: str, fault: str) -> None:
    """Names are looked up; a tag may be put on a connection later."""
    assert choice_fault(text, ["contoso"]) == fault


def test_connections_come_and_go_under_a_choice(tmp_path: Path) -> None:
    """Whoever was named and is gone, or has a tag no longer, is not meant."""
    settings = load(tmp_path, CONTOSO)
    assert settings.members("gone, tag:eu, contoso, sandbox") == ["contoso", "sandbox"]
    assert settings.members("tag:eu") == []
