"""What usher's stages ask of Graph is understood by the sandbox: every name of a person or a group,
and what is read of it.
"""

from __future__ import annotations

from typing import Any

import pytest

from worker.graph.batch import Fate, GraphAnswer
from worker.graph.groups import build_path, read_objects


@pytest.mark.parametrize(
    ("collection", "name", "title"),
    [
        ("groups", "Partners", "Partners"),
        ("groups", "project-alpha@contoso.example", "Project Alpha"),
        ("users", "ada@contoso.example", "Ada Lovelace"),
        ("users", "linus_partner.example#EXT#@contoso.onmicrosoft.example", "Linus Known"),
        ("users", "Grace Hopper", "Grace Hopper"),
        ("users", "o'neil@partner.example", None),
        ("groups", "Nobody's", None),
    ],
)
def test_names_are_found(desk: Any, collection: str, name: str, title: str | None) -> None:
    """By address, by name and by id, in the one request that usher makes for each."""
    desk.roles = frozenset({"User.Read.All", "GroupMember.Read.All"})
    status, body = desk.read(build_path(collection, name))
    assert status == 200, body
    found = read_objects(collection, GraphAnswer(Fate.ANSWERED, 200, body=body))
    assert [one.title for one in found] == ([] if title is None else [title])
    for one in found:
        status, body = desk.read(build_path(collection, one.id))
        assert status == 200, body
        assert read_objects(collection, GraphAnswer(Fate.ANSWERED, 200, body=body)) == [one]
