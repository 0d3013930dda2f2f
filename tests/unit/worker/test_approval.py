"""Who may approve a job, and what is said while it waits."""

from __future__ import annotations

import pytest

from worker.approval import Person, explain, refuse, submitter_of

INFO = {"by": "ada", "host": "desk", "list": "guests.csv"}


@pytest.mark.parametrize(
    ("person", "may"),
    [
        (Person("ada", "desk"), False),
        (Person("root", "desk", behind="ada"), False),  # sudo makes nobody somebody else
        (Person("ada", "laptop"), True),
        (Person("grace", "desk"), True),
    ],
)
def test_nobody_approves_their_own(person: Person, may: bool) -> None:
    """The account and the host make a person; sudo does not."""
    assert (refuse("j1", INFO, person) == "") is may


def test_a_producers_job_may_be_approved_by_anybody_here() -> None:
    """A producer has no account and no host."""
    assert refuse("j1", {"by": "producer", "task": "t"}, Person("producer", "desk")) == ""


def test_the_sentence_says_who_must_do_what() -> None:
    """Connection, submitter, and both commands."""
    told = explain("j1", "contoso", INFO)
    assert all(
        part in told for part in ("contoso", "other than ada@desk", "usher jobs show j1", "usher jobs approve j1")
    )
    assert (submitter_of({}), submitter_of({"by": "producer"})) == ("", "producer")
    assert "until somebody else has" in explain("j1", "contoso", {})
