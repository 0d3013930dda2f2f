"""What a chunk's line says of the rows that it could not send."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker import rests
from worker.model import JobState
from worker.rests import describe_rest, describe_run

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("why", "wait_s", "words"),
    [
        ("quota", 1.44, "waits for quota, next try in 1.4 s"),
        ("quota", 0.0, "waits for quota"),
        ("throttled", 30.0, "waits because Microsoft throttles (429), next try in 30.0 s"),
        ("held", 1.0, "waits until the connection is reopened or tried again (usher connections list)"),
        ("paused", 0.0, "waits for the job to be resumed"),
        ("cancelled", 0.0, "is left, as the job is cancelled"),
        ("", 5.0, ""),
    ],
)
def test_it_says_what_the_rest_waits_for(why: str, wait_s: float, words: str) -> None:
    """And until when, where that is known."""
    assert describe_rest(why, wait_s) == words


def test_a_run_says_what_it_did_and_what_it_left() -> None:
    """In one line."""
    assert describe_run("20 invited", "waits for quota") == "20 invited; the rest waits for quota"
    assert describe_run("20 invited", "") == "20 invited"
    assert describe_run("", "waits for quota") == "nothing sent yet; it waits for quota"
    assert describe_run("", "") == "nothing was left to send"
    assert describe_run("280 invited", "", 3) == "280 invited in 3 chunks"
    assert describe_run("140 invited", "waits for quota", 2) == "140 invited in 2 chunks; the rest waits for quota"


def test_every_reason_has_words() -> None:
    """Whatever the scripts refuse a batch for, and what the code gives a chunk back for; states of the job are words by themselves."""
    script = (ROOT / "worker/scripts/begin_batch.lua").read_text(encoding="utf-8")
    code = "".join((ROOT / f"worker/{name}.py").read_text(encoding="utf-8") for name in ("chunk", "runner"))
    refused = set(re.findall(r"return \{ '(?:stop|wait)',(?: [^,']+,)? '(\w+)'", script))
    given_back = set(re.findall(r'\.rest = "(\w+)"', code))
    assert {"quota", "epoch", "nothing"} <= refused | {"quota"}
    assert {"held", "throttled", "away"} <= given_back
    assert (refused | given_back) - {"nothing"} - {*JobState} <= rests._WAITING.keys()
