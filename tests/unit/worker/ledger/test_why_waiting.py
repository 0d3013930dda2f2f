"""What a chunk's line says of the rows that it could not send."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.ledger.model import JobState
from worker.ledger.why_waiting import WORDS, Rest, Stop, describe_run

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (Stop(Rest.QUOTA, 1.44), "waits for quota, next try in 1.4 s"),
        (Stop(Rest.QUOTA), "waits for quota"),
        (Stop(Rest.GUEST, put_off_s=2.0), "waits for another job that invites the same guests, next try in 2.0 s"),
        (Stop(Rest.THROTTLED, 30.0), "waits because Microsoft throttles (429), next try in 30.0 s"),
        (Stop(Rest.GATE, 1.0), "waits until the connection is reopened or tried again (usher connections list)"),
        (Stop(Rest.CANCELLED), "is left, as the job is cancelled"),
    ],
)
def test_it_says_what_the_rest_waits_for(stop: Stop, words: str) -> None:
    """And until when, where that is known."""
    assert stop.describe() == words


def test_a_run_says_what_it_did_and_what_it_left() -> None:
    """In one line."""
    assert describe_run("20 invited", "waits for quota") == "20 invited; the rest waits for quota"
    assert describe_run("20 invited", "") == "20 invited"
    assert describe_run("", "waits for quota") == "nothing sent yet; it waits for quota"
    assert describe_run("", "") == "nothing was left to send"
    assert describe_run("280 invited", "", 3) == "280 invited in 3 chunks"
    assert describe_run("140 invited", "waits for quota", 2) == "140 invited in 2 chunks; the rest waits for quota"


def test_every_reason_has_words() -> None:
    """Whatever the script refuses a batch for, states of the job among them, is one of the set, and
    each has its words.
    """
    script = (ROOT / "worker/ledger/scripts/begin_batch.lua").read_text(encoding="utf-8")
    refused = set(re.findall(r"return \{ '(?:stop|wait)',(?: [^,']+,)? '(\w+)'", script))
    assert {"lease", "epoch", "nothing"} <= refused
    assert refused | {*JobState} - {JobState.RUNNING} <= {*Rest}
    assert WORDS.keys() == {*Rest}
