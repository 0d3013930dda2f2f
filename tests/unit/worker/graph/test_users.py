from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from worker.addresses import fold_address, spellings
from worker.graph.batch import BATCH_LIMIT, Fate, GraphAnswer
from worker.graph.users import CLAUSES, MOST_ADDRESSES, By, build_questions, build_requests, read_users


def _answer(*users: dict[str, Any], status: int = 200, fate: Fate = Fate.ANSWERED) -> GraphAnswer:
    return GraphAnswer(fate, status, {}, {"value": list(users)}, "")


def _filter(path: str) -> str:
    return parse_qs(urlsplit(path).query)["$filter"][0]


_PROPERTIES = (
    ("m", r"mail in \(([^)]*)\) or userPrincipalName in \(([^)]*)\)"),
    ("o", r"((?:otherMails/any\(m:m eq '[^']*'\)(?: or )?)+)((?:proxyAddresses/any\(p:p eq 'smtp:[^']*'\)(?: or )?)+)"),
)


def test_a_whole_look_up_fits_two_batches() -> None:
    """140 addresses, 40 requests, each with at most 15 clauses; every address is asked for by all
    four properties.
    """
    addresses = [f"{n}@x.example" for n in range(MOST_ADDRESSES)]
    requests = build_requests(build_questions(addresses))
    assert len(requests) == 2 * BATCH_LIMIT
    assert len({request.id for request in requests}) == 2 * BATCH_LIMIT
    for prefix, shape in _PROPERTIES:
        matches = [re.fullmatch(shape, _filter(r.path)) for r in requests if r.id.startswith(prefix)]
        assert all(match and match[0].count("'") <= 2 * CLAUSES for match in matches)
        for part in (1, 2):
            asked = [
                text.removeprefix("smtp:") for match in matches if match for text in re.findall("'(.*?)'", match[part])
            ]
            assert asked == addresses


def test_a_chunk_takes_thirty_reads() -> None:
    """Of one resource unit each: 0.3 a row."""
    assert len(build_questions([f"{n}@x.example" for n in range(100)])) == 30


@pytest.mark.parametrize(
    "spelling", ["ann@m\u00fcnchen.example", "ann@xn--mnchen-3ya.example", "Ann@Mu\u0308nchen.Example"]
)
def test_an_international_domain_is_asked_for_in_both_spellings(spelling: str) -> None:
    """What Entra keeps is not known; however it is kept, it is found under its folded form."""
    folded = fold_address(spelling)
    assert spellings(folded) == ("ann@xn--mnchen-3ya.example", "ann@m\u00fcnchen.example")
    for request in build_requests(build_questions([folded])):
        assert all(_filter(request.path).count(f"{text}'") == 2 for text in spellings(folded))
    assert read_users(_answer({"id": "1", "mail": spelling})).keys() == {folded}  # type: ignore[union-attr]
    many = [fold_address(f"a{n}@m\u00fcnchen.example") for n in range(20)]
    assert all(_filter(r.path).count("'") <= 2 * CLAUSES for r in build_requests(build_questions(many)))


@pytest.mark.parametrize("folded", ["a@xn--.example", "a@xn--99999999999.example", "a@x.example", "no address"])
def test_what_is_no_international_domain_has_one_spelling(folded: str) -> None:
    """Nothing raises."""
    assert spellings(folded) == (folded,)


def test_advanced_queries_say_so() -> None:
    """`any` over otherMails wants `ConsistencyLevel: eventual` and `$count`."""
    (by_mail, by_other) = build_requests(build_questions(["a@x.example"]))
    assert by_mail.headers == {}
    assert by_other.headers == {"ConsistencyLevel": "eventual"}
    assert "$count=true" in by_other.path


def test_odd_characters_do_not_leave_their_quotes() -> None:
    """A quote is doubled; plus, ampersand and per cent survive the URL."""
    (by_mail, _) = build_requests(build_questions(["o'hara+x&y%z@x.example"]))
    assert _filter(by_mail.path) == (
        "mail in ('o''hara+x&y%z@x.example') or userPrincipalName in ('o''hara+x&y%z@x.example')"
    )


def test_users_are_found_under_each_of_their_addresses() -> None:
    """Folded; with when they were created, and whether they are members or blocked."""
    user = {
        "id": "1",
        "mail": "Ada@X.example",
        "otherMails": ["ada@y.example", None],
        "userPrincipalName": "Ada@contoso.example",
        "proxyAddresses": ["SMTP:ada@x.example", "smtp:Countess@x.example", "x500:/o=contoso", 7],
        "createdDateTime": "2026-11-23T10:00:00Z",
        "userType": "Guest",
        "accountEnabled": False,
    }
    found = read_users(_answer(user, {"id": "2", "mail": "m@x.example", "userType": "Member"}))
    assert found
    own = {"ada@x.example", "ada@y.example", "ada@contoso.example", "countess@x.example"}
    assert set(found) == {*own, "m@x.example"}
    ada, member = found["ada@y.example"], found["m@x.example"]
    assert (ada.id, ada.member, ada.enabled) == ("1", False, False)
    assert ada.created_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert (member.member, member.enabled, member.created_at) == (True, True, None)


def test_absence_is_only_believed_of_a_whole_answer() -> None:
    """One refused, lost, cut or paged answer, and nobody is absent."""
    good = _answer()
    assert read_users(good) == {}
    for bad in (
        _answer(status=403),
        _answer(fate=Fate.LOST),
        GraphAnswer(Fate.ANSWERED, 200, {}, None, ""),
        GraphAnswer(Fate.ANSWERED, 200, {}, {"value": "no list"}, ""),
        GraphAnswer(Fate.ANSWERED, 200, {}, {"value": [], "@odata.nextLink": "https://more"}, ""),
    ):
        assert read_users(bad) is None


def test_strange_values_are_no_users() -> None:
    """Nothing in an answer raises."""
    odd = _answer(
        {"mail": "no-id@x.example"},
        {"id": "3", "mail": 7, "otherMails": None, "createdDateTime": "yesterday"},
        {"id": "4", "userPrincipalName": None, "otherMails": 6, "proxyAddresses": 5},
    )
    assert read_users(odd) == {}


def test_guests_of_known_id_are_asked_for_by_id() -> None:
    """15 a question, in one request beside those of addresses, and found under their id with what
    was asked for besides.
    """
    ids = [f"00000000-0000-4000-8000-{n:012}" for n in range(16)]
    questions = build_questions(["a@x.example", *ids])
    assert [(question.by, len(question.guests)) for question in questions] == [
        (By.MAIL, 1),
        (By.COLLECTION, 1),
        (By.ID, 15),
        (By.ID, 1),
    ]
    last = build_requests(questions, ("companyName",))[-1]
    assert _filter(last.path) == f"id in ('{ids[15]}')"
    assert "accountEnabled" in last.path
    assert ",companyName&" in last.path
    found = read_users(_answer({"id": ids[15], "mail": "b@x.example", "companyName": "B"}), By.ID, ("companyName",))
    assert found is not None
    assert found.keys() == {ids[15]}
    assert found[ids[15]].more == {"companyName": "B"}
