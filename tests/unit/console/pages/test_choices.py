"""What a list may go through is offered in groups, whatever the number of connections and tags."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from console.pages.invite import _choices


def page_of(**tags: tuple[str, ...]) -> Any:
    """Return a page over connections that have these tags; its settings cannot be asked for
    each tag.
    """
    connections = {name: SimpleNamespace(tags=of) for name, of in tags.items()}
    settings = SimpleNamespace(connections=connections, connection_names=sorted(connections))
    return SimpleNamespace(
        services=SimpleNamespace(settings=lambda: settings), say=lambda text, **values: text % values
    )


def test_tags_are_counted_in_one_pass() -> None:
    """Each tag comes once, with the number of connections that have it, however often it stands
    there; all come last.
    """
    _, (_, several) = _choices(page_of(adatum=("us", "eu"), bellows=("eu", "eu"), cronus=()))
    assert several == [
        ("tag:eu", "all with the tag eu (2)"),
        ("tag:us", "all with the tag us (1)"),
        ("all", "all connections (3)"),
    ]


def test_one_connection_has_no_groups() -> None:
    """Where nothing is to be chosen, one name is offered."""
    assert _choices(page_of(adatum=("eu",))) == [("", [("adatum", "adatum")])]
