from __future__ import annotations

import pytest

from sandbox.directory import User
from sandbox.odata import QueryError, parse_filter, parse_select, parse_users_query

ANN = User(
    id="1",
    mail="Ann@Partner.example",
    display_name="Ann",
    upn="ann_partner.example#EXT#@contoso.example",
    other_mails=("ann@old.example",),
    proxy_addresses=("SMTP:ann@partner.example",),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail eq 'ann@partner.example'", True),
        ("mail eq 'bob@partner.example'", False),
        ("mail in ('bob@partner.example', 'ANN@partner.example')", True),
        ("otherMails/any(m:m eq 'ann@old.example')", True),
        ("proxyAddresses/any(p:p eq 'smtp:ann@partner.example')", True),
        ("userPrincipalName eq 'ann_partner.example#EXT#@contoso.example'", True),
        ("mail eq 'x' or otherMails/any(m:m eq 'ann@old.example')", True),
        ("(mail eq 'x' or mail eq 'ann@partner.example') and userType eq 'Guest'", True),
        ("mail eq 'ann@partner.example' and userType eq 'Member'", False),
        ("accountEnabled eq true and mail in ('ann@partner.example')", True),
    ],
)
def test_filter_selects(text: str, expected: bool) -> None:
    """A filter of the documented forms matches as Graph's does: without case."""
    assert parse_filter(text).matches(ANN) is expected


def test_quotes_are_doubled() -> None:
    """An apostrophe in an address is written twice, and only so."""
    user = User(id="1", mail="o'neil@partner.example", display_name="", upn="u")
    assert parse_filter("mail eq 'o''neil@partner.example'").matches(user)
    with pytest.raises(QueryError):
        parse_filter("mail eq 'o'neil@partner.example'")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mail",
        "mail eq",
        "mail eq ann@partner.example",
        'mail eq "ann@partner.example"',
        "mail ne 'x'",
        "startswith(mail,'a')",
        "nothing eq 'x'",
        "givenName eq 'x'",
        "mail eq 'x' or",
        "mail eq 'x' mail eq 'y'",
        "mail in ()",
        "mail in 'x'",
        "otherMails eq 'x'",
        "otherMails/all(m:m eq 'x')",
        "otherMails/any(m:n eq 'x')",
        "not (mail eq 'x')",
        "(mail eq 'x'",
        "(" * 3_000,
        "true",
        "mail eq 'x';drop",
    ],
)
def test_filter_refuses_what_it_does_not_understand(text: str) -> None:
    """No filter ever silently matches everybody."""
    with pytest.raises(QueryError):
        parse_filter(text)


def test_no_more_than_fifteen_alternatives() -> None:
    """Fifteen people fit into one query, whichever way they are written; sixteen do not."""
    clause = " or ".join(f"mail eq 'a{number}@x.example'" for number in range(15))
    assert len(parse_filter(clause).addresses or ()) == 15
    with pytest.raises(QueryError, match="Max allowed: 15"):
        parse_filter(f"{clause} or mail eq 'one@more.example'")
    with pytest.raises(QueryError, match="Max allowed: 15"):
        parse_filter(f"mail in ({','.join(repr(f'a{n}@x.example') for n in range(16))})")


def test_addresses_never_hide_a_match() -> None:
    """The addresses a filter narrows the search to cover everything it can match."""
    found = parse_filter("mail eq 'A@x.example' or otherMails/any(m:m eq 'b@x.example')")
    assert found.addresses == frozenset({"a@x.example", "b@x.example"})
    assert parse_filter("mail eq 'a@x.example' or userType eq 'Guest'").addresses is None
    assert parse_filter("mail eq null").addresses is None


def test_advanced_queries_want_their_header() -> None:
    """`externalUserState` is filtered only with ConsistencyLevel and $count, as documented."""
    query = "$filter=externalUserState%20eq%20'PendingAcceptance'"
    with pytest.raises(QueryError):
        parse_users_query(query, eventual=False)
    with pytest.raises(QueryError):
        parse_users_query(query, eventual=True)
    assert parse_users_query(f"{query}&$count=true", eventual=True).filter is not None
    with pytest.raises(QueryError):
        parse_users_query("$count=true", eventual=False)


@pytest.mark.parametrize("query", ["$top=0", "$top=1000", "$top=x", "$expand=manager", "top=1", "$top=1&$top=2", "&&"])
def test_other_options_are_checked(query: str) -> None:
    """A query option that is unknown, doubled or out of range is refused."""
    with pytest.raises(QueryError):
        parse_users_query(query, eventual=True)


def test_select_knows_its_properties() -> None:
    """A property that users do not have is refused, not returned as null."""
    assert parse_select("id,mail") == ("id", "mail")
    with pytest.raises(QueryError):
        parse_select("id,shoeSize")
