"""Who may approve a job, and what is said while it waits."""

from __future__ import annotations

import pytest

from worker.ledger.approval import Person, explain, is_same, read_submitter, refuse, submitter_of
from worker.ledger.audit.account import find_actor, find_person

INFO = {"by": "ada", "host": "desk", "list": "guests.csv"}


SHARED = Person("uid-1000", "3f2a", stated="ada").to_info()


@pytest.mark.parametrize(
    ("submitter", "person", "may"),
    [
        (INFO, Person("ada", "desk"), False),
        (INFO, Person("root", "desk", behind="ada"), False),  # sudo makes nobody somebody else
        (Person("root", "desk", behind="ada").to_info(), Person("ada", "desk"), False),
        (INFO, Person("ada", "laptop"), False),  # each container is a host of its own
        (INFO, Person("grace", "desk"), True),
        (INFO, Person("ada", "desk", stated="grace"), False),  # stated for the occasion
        (Person("ada", "desk", stated="grace").to_info(), Person("ada", "desk"), False),
        (INFO, Person("uid-1000", "3f2a", stated="ada"), False),
        (SHARED, Person("uid-1000", "77b1", stated="Ada"), False),
        (SHARED, Person("uid-1000", "77b1", stated="grace"), True),
        (SHARED, Person("uid-1000", "77b1"), False),
        (SHARED, Person("ada", "desk"), False),
        (SHARED, Person("grace", "desk"), True),
    ],
)
def test_nobody_approves_their_own(submitter: dict[str, str], person: Person, may: bool) -> None:
    """The account makes a person, whatever the host and whatever sudo; where both state a name,
    that does.
    """
    assert (refuse("j1", submitter, person) == "") is may


def test_whoever_shares_an_account_is_told_how_to_say_who_they_are() -> None:
    """With another host the same account may really be somebody else; on one machine it is not."""
    assert "USHER_ACTOR=NAME" in refuse("j1", SHARED, Person("uid-1000", "77b1"))
    assert "USHER_ACTOR=NAME" in refuse("j1", SHARED, Person("uid-1000", "77b1", stated="ada"))
    assert "USHER_ACTOR" not in refuse("j1", INFO, Person("ada", "desk"))


@pytest.mark.parametrize(
    ("given", "stated"), [("", ""), (" Ada  Lovelace\n", "Ada Lovelace"), ("a\x1b[2Jb", "a [2Jb"), ("x" * 99, "x" * 64)]
)
def test_a_stated_name_stands_beside_the_account(monkeypatch: pytest.MonkeyPatch, given: str, stated: str) -> None:
    """In what is shown and in the trail: a statement is no proof."""
    monkeypatch.setenv("USHER_ACTOR", given)
    person = find_person()
    assert (person.stated, bool(person.user), bool(person.host)) == (stated, True, True)
    account = f"{person.user}@{person.host}"
    assert str(person) == (f"{stated} ({account})" if stated else account)
    assert str(person) in find_actor()
    assert submitter_of(person.to_info()) == str(person)


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


ADA = Person("0b0e", "tenant", "ada", "Ada Lovelace", sign_in="entra")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Person("0b0e", "tenant", "ada", "Ada King", sign_in="entra"), True),  # a name may change
        (Person("77aa", "tenant", "ada", "Ada Lovelace", sign_in="entra"), False),  # and two may have one
        (Person("0b0e", "other", "ada", "Ada Lovelace", sign_in="entra"), False),
        (Person("ADA", "desk"), True),  # at a shell: by what the account is called
        (Person("uid-1000", "box", stated="ada lovelace"), True),
        (Person("grace", "desk", stated="Grace"), False),
    ],
)
def test_who_signed_in_is_told_apart_by_entras_ids(other: Person, same: bool) -> None:
    """Of somebody at a shell, one name in common is enough."""
    assert is_same(ADA, other) is same
    assert is_same(other, ADA) is same


def test_who_signed_in_is_named_without_ids_in_a_sentence() -> None:
    """The audit trail has them."""
    info = ADA.to_info()
    assert read_submitter(info) == ADA
    assert submitter_of(info) == "Ada Lovelace (0b0e@tenant)"
    assert "somebody other than Ada Lovelace has" in explain("j", "contoso", info)
