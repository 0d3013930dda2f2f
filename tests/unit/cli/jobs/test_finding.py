"""A job is found by its id; a stage by none."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.errors import Refusal
from tasks.jobs.finding import find_job


@pytest.mark.parametrize("wanted", ["abcdefghij~groups", "~", "ABC~"])
async def test_a_stage_is_moved_with_its_job(wanted: str) -> None:
    """Nothing of the ledger is asked for it."""
    services: Any = None
    with pytest.raises(Refusal, match="moved with its job"):
        await find_job(services, wanted)
