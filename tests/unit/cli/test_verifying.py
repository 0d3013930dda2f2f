"""What `usher jobs verify` says of a connection."""

from __future__ import annotations

from collections import Counter

from cli.jobs.verifying import _told
from worker.sending.verifier import Verified


def test_rows_left_in_doubt_are_told_apart_from_those_that_workers_look_up() -> None:
    """The first are a person's."""
    told = _told(Verified("contoso", rows=4, ended=Counter(in_doubt=3, done=1), in_doubt=2))
    assert (told["left_in_doubt"], told["in_doubt"], told["done"], told["invited"]) == (3, 2, 1, 0)
