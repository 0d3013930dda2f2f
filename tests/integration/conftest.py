"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.ledgers import Desk, open_desk


@pytest.fixture
async def desk(valkey_url: str) -> AsyncIterator[Desk]:
    """An empty ledger."""
    async with open_desk(valkey_url) as desk:
        yield desk
