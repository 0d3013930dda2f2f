"""A listing of guests on its way to a file."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

from tasks.guests.listing import COLUMNS, GuestListing, columns_of
from tests.unit.tasks.guests.test_choice import ANN
from worker.graph.guests import Also


def test_a_listing_that_begins_again_lets_go_of_what_it_had(tmp_path: Path) -> None:
    """Nobody is there twice; columns that were not asked for are not there."""
    with GuestListing(columns_of({Also.SPONSORS})) as listing:
        listing.put(replace(ANN, id="gone"))
        listing.begin()
        listing.put(replace(ANN, sponsors=("Ada", "=SUM(1)")))
        assert listing.write("", tmp_path / "x.csv") == listing.count == 1
        assert listing.write("jsonl", tmp_path / "x.jsonl") == 1
    heading, line = (tmp_path / "x.csv").read_text().splitlines()
    assert heading == ",".join((*COLUMNS, "sponsors"))
    assert line.endswith(",accepted,2026-07-24T00:00:00Z,2026-07-24T00:00:00Z,true,Ada;'=SUM(1)")
    assert json.loads((tmp_path / "x.jsonl").read_text())["sponsors"] == ["Ada", "=SUM(1)"]


def test_memory_is_flat_in_the_number_of_guests(tmp_path: Path) -> None:
    """50,000 take less than ten megabytes."""
    tracemalloc.start()
    try:
        with GuestListing(COLUMNS) as listing:
            for _ in range(50_000):
                listing.put(ANN)
            assert listing.write("csv", tmp_path / "x.csv") == 50_000
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
