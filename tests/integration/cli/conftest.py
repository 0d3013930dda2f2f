"""Fixtures of the command's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.places import Place, open_bare_place, open_place


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """One stack for all of them: it outlives the seconds between two commands, and a test leaves
    its gates open.
    """
    with open_place("10") as place:
        yield place


@pytest.fixture
def own_place() -> Iterator[Place]:
    """A stack for one test, which ends soon after its last command."""
    with open_place("0.2") as place:
        yield place


@pytest.fixture
def bare_place() -> Iterator[Place]:
    """A folder with nothing in it: no configuration, no key."""
    with open_bare_place() as place:
        yield place
