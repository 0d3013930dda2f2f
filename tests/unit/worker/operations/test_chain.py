"""A row that ends says what its stages are fed with."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from worker.ledger.model import Options, Outcome, RowState
from worker.operations.stages import Chain

LINK = "https://login.microsoftonline.com/redeem?rd=1"


@pytest.mark.parametrize(
    ("suspect", "letter", "link", "unsure"),
    [
        (True, RowState.DONE, "", True),
        (True, RowState.DONE, LINK, False),
        (True, RowState.ALREADY, "", False),
        (False, RowState.DONE, "", False),
    ],
)
def test_what_may_have_been_done_before_a_failover_is_told(
    suspect: bool, letter: RowState, link: str, unsure: bool
) -> None:
    """A guest who turns out to have been invited, in a job older than the server: they may be
    mailed already.
    """
    chain = Chain.of("root", 0, 1, Options(), ("mail",), suspect=suspect)
    told: Any = orjson.loads(chain.tell([{"email": "a@x.example"}], [Outcome(0, letter, redeem_url=link, at_ms=1)]))
    ((_, item),) = told["feeds"]["mail"]["0"]
    assert orjson.loads(item).get("unsure", False) is unsure
