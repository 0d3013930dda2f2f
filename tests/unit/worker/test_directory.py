from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from worker.batching import BATCH_LIMIT, Fate, GraphAnswer
from worker.directory import CLAUSES, MOST_ADDRESSES, build_questions, build_requests, read_users


def _answer(*users: dict[str, Any], status: int = 200, fate: Fate = Fate.ANSWERED) -> GraphAnswer:
    return GraphAnswer(fate, status, {}, {"value": list(users)}, "")


def _filter(path: str) -> str:
    return parse_qs(urlsplit(path).query)["$filter"][0]


def test_a_whole_chunk_fits_one_batch() -> None:
    """150 addresses, 20 requests, each with at most 15 clauses; every address is asked for by both properties."""
    addresses = [f"{n}@x.example" for n in range(MOST_ADDRESSES)]
    requests = build_requests(build_questions(addresses))
    assert len(requests) == BATCH_LIMIT
    assert len({request.id for request in requests}) == BATCH_LIMIT
    for start, prefix in (("mail in", "m"), ("otherMails/any", "o")):
        conditions = [_filter(r.path) for r in requests if r.id.startswith(prefix)]
        assert all(condition.startswith(start) for condition in conditions)
        assert all(condition.count("'") == 2 * CLAUSES for condition in conditions)
        assert all(sum(f"'{address}'" in condition for condition in conditions) == 1 for address in addresses)


def test_advanced_queries_say_so() -> None:
    """`any` over otherMails wants `ConsistencyLevel: eventual` and `$count`."""
    (by_mail, by_other) = build_requests(build_questions(["a@x.example"]))
    assert by_mail.headers == {}
    assert by_other.headers == {"ConsistencyLevel": "eventual"}
    assert "$count=true" in by_other.path


def test_odd_characters_do_not_leave_their_quotes() -> None:
    """A quote is doubled; plus, ampersand and per cent survive the URL."""
    (by_mail, _) = build_requests(build_questions(["o'hara+x&y%z@x.example"]))
    assert _filter(by_mail.path) == "mail in ('o''hara+x&y%z@x.example')"


def test_users_are_found_under_each_of_their_addresses() -> None:
    """Folded; with when they were created, and whether they are members or blocked."""
    user = {
        "id": "1",
        "mail": "Ada@X.example",
        "otherMails": ["ada@y.example", None],
        "createdDateTime": "2026-11-23T10:00:00Z",
        "userType": "Guest",
        "accountEnabled": False,
    }
    found = read_users(_answer(user, {"id": "2", "mail": "m@x.example", "userType": "Member"}))
    assert found
    assert set(found) == {"ada@x.example", "ada@y.example", "m@x.example"}
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
        {"mail": "no-id@x.example"}, {"id": "3", "mail": 7, "otherMails": None, "createdDateTime": "yesterday"}
    )
    assert read_users(odd) == {}
