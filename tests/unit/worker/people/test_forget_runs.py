"""What a run says of a connection that is forgotten goes, and what it says of others stays."""

from __future__ import annotations

import pytest

from worker.people.forget_runs import Mentioned, is_called_after

ABOUT = Mentioned("fabrikam", ["00000000-0000-4000-8000-000000000011"], ["abcdefghij"])
RUN = {
    "due_ms": 1,
    "what": "2 of 3 connections need somebody. fabrikam: see abcdefghij of 00000000-0000-4000-8000-000000000011.",
    "jobs": ["abcdefghij", "bbbbbbbbbb"],
    "details": ["contoso: well", "fabrikam: ill", "fabrikam-eu: well", "the job abcdefghij is held"],
}


def test_lines_about_it_go_and_others_stay() -> None:
    """A longer name that begins alike is another connection."""
    assert ABOUT.without(RUN) == {
        "due_ms": 1,
        "what": "2 of 3 connections need somebody. a connection that was forgotten: see … of ….",
        "jobs": ["bbbbbbbbbb"],
        "details": ["contoso: well", "fabrikam-eu: well"],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fabrikam", True),
        ('{"details":["fabrikam: ill"]}', True),
        ("nightly-fabrikam", False),
        ("fabrikam_two", False),
        ("job abcdefghij", True),
        ("contoso", False),
    ],
)
def test_it_is_named_as_a_word_by_its_tenant_or_by_a_job(text: str, expected: bool) -> None:
    """Names are of letters, digits and hyphens."""
    assert ABOUT.is_in(text) is expected


def test_a_schedule_is_called_after_the_longest_name() -> None:
    """Of one that nobody knows any more, its name tells whose it was."""
    assert is_called_after("nightly-fabrikam", "fabrikam", ["contoso"])
    assert not is_called_after("nightly-fabrikam-eu", "fabrikam", ["fabrikam-eu"])
    assert not is_called_after("nightly-fabrikams", "fabrikam", [])
