"""Fixtures of the private stack's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.stack.stacks import Stack, open_stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack of its own with a short grace, ended after the test."""
    with open_stack() as stack:
        yield stack
