"""`$filter` and the other query options of GET /users, read strictly: what is not understood is refused, never ignored.

    filter     = and-part *( "or" and-part )
    and-part   = term *( "and" term )
    term       = "(" filter ")" | property "eq" literal | property "in" "(" literal *( "," literal ) ")"
               | property "/any(" name ":" name "eq" literal ")"

A filter becomes a function of a user, and, where it is no more than alternatives on addresses, the addresses to look
up, so that a query for 15 people does not walk a directory of a million.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from sandbox.directory import User

MAX_ALTERNATIVES = 15
MAX_DEPTH = 20
PAGE = 100
MAX_PAGE = 999

Predicate = Callable[[User], bool]

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_][\w.]*)|([():,/]))")
_SINGLE: dict[str, Callable[[User], Any]] = {
    "id": lambda user: user.id,
    "mail": lambda user: user.mail,
    "userPrincipalName": lambda user: user.upn,
    "displayName": lambda user: user.display_name,
    "userType": lambda user: user.user_type,
    "creationType": lambda user: user.creation_type,
    "externalUserState": lambda user: user.state,
    "accountEnabled": lambda user: user.enabled,
}
_COLLECTIONS: dict[str, Callable[[User], tuple[str, ...]]] = {
    "otherMails": lambda user: user.other_mails,
    "proxyAddresses": lambda user: user.proxy_addresses,
}
_BY_ADDRESS = frozenset({"mail", "userPrincipalName", "otherMails", "proxyAddresses"})
_ADVANCED = frozenset({"externalUserState"})
"""Properties that Graph filters only as an advanced query. https://learn.microsoft.com/graph/aad-advanced-queries"""

PROPERTIES: dict[str, Callable[[User], Any]] = {
    **_SINGLE,
    "otherMails": lambda user: list(user.other_mails),
    "proxyAddresses": lambda user: list(user.proxy_addresses),
    "createdDateTime": lambda user: user.created_at,
    "externalUserStateChangeDateTime": lambda user: user.state_changed_at,
    "deletedDateTime": lambda user: user.deleted_at,
    "givenName": lambda user: (user.extra or {}).get("givenName"),
    "surname": lambda user: (user.extra or {}).get("surname"),
    "companyName": lambda user: (user.extra or {}).get("companyName"),
    "usageLocation": lambda user: (user.extra or {}).get("usageLocation"),
    "preferredLanguage": lambda user: (user.extra or {}).get("preferredLanguage"),
    "jobTitle": lambda user: (user.extra or {}).get("jobTitle"),
    "department": lambda user: (user.extra or {}).get("department"),
    "businessPhones": lambda user: [],
    "mobilePhone": lambda user: None,
    "officeLocation": lambda user: None,
}
"""What can be selected of a user."""

DEFAULT_SELECT = (
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
)
"""What Graph returns of a user without `$select`; note that it leaves out nearly all that usher needs."""


class QueryError(Exception):
    """A query Graph would answer with 400; `code` is Graph's error code, the text its message."""

    def __init__(self, message: str, code: str = "BadRequest") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed `$filter`. `addresses` (folded) covers every possible match, or is None where any user may match."""

    matches: Predicate
    addresses: frozenset[str] | None
    advanced: bool


@dataclass(frozen=True, slots=True)
class UsersQuery:
    """The query options of GET /users."""

    filter: Filter | None
    select: tuple[str, ...]
    has_select: bool
    top: int
    skip: int
    count: bool


def parse_users_query(query: str, *, eventual: bool) -> UsersQuery:
    """Read a raw query string. `eventual`: the caller sent `ConsistencyLevel: eventual`. Raises `QueryError`."""
    options = _options(query, {"$filter", "$select", "$top", "$count", "$skiptoken"})
    count = _count(options.get("$count"), eventual)
    found = parse_filter(options["$filter"]) if "$filter" in options else None
    if found and found.advanced and not (eventual and count):
        raise QueryError(
            "The request uses advanced query capabilities: it needs the header 'ConsistencyLevel: eventual' and $count=true.",
            "Request_UnsupportedQuery",
        )
    return UsersQuery(
        filter=found,
        select=parse_select(options.get("$select")),
        has_select="$select" in options,
        top=_number(options.get("$top"), "$top", PAGE, MAX_PAGE),
        skip=_number(options.get("$skiptoken"), "$skiptoken", 0, 10**9),
        count=count,
    )


def parse_single_query(query: str) -> tuple[tuple[str, ...], bool]:
    """Read the query string of a request for one object: the selected properties, and if there was a `$select`."""
    options = _options(query, {"$select"})
    return parse_select(options.get("$select")), "$select" in options


def parse_select(text: str | None) -> tuple[str, ...]:
    """Read `$select`; without one, Graph's default properties. Raises `QueryError` for one that users do not have."""
    if text is None:
        return DEFAULT_SELECT
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in PROPERTIES:
            raise QueryError(
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                "'microsoft.graph.user'."
            )
    return names


def parse_filter(text: str) -> Filter:
    """Read a `$filter` on users. Raises `QueryError` for everything outside the grammar of this module."""
    parser = _Parser(text)
    found = parser.parse()
    if parser.alternatives > MAX_ALTERNATIVES:
        raise QueryError(
            "Too many child clauses specified in search filter expression containing 'OR' operators: "
            f"{parser.alternatives}. Max allowed: {MAX_ALTERNATIVES}."
        )
    return found


class _Parser:
    """Recursive descent over one filter text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.alternatives = 1
        self.depth = 0
        self.tokens = self._tokens()
        self.index = 0

    def parse(self) -> Filter:
        found = self._or()
        if self.index < len(self.tokens):
            raise self._error()
        return found

    def _tokens(self) -> list[tuple[str, int]]:
        tokens, at = [], 0
        while self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if not match:
                raise QueryError(f"Invalid filter clause: Syntax error at position {at} in '{self.text}'.")
            tokens.append((match[match.lastindex or 0], match.start(match.lastindex or 0)))
            at = match.end()
        return tokens

    def _error(self) -> QueryError:
        at = self.tokens[self.index][1] if self.index < len(self.tokens) else len(self.text)
        return QueryError(f"Invalid filter clause: Syntax error at position {at} in '{self.text}'.")

    def _peek(self) -> str:
        return self.tokens[self.index][0] if self.index < len(self.tokens) else ""

    def _next(self) -> str:
        if self.index >= len(self.tokens):
            raise self._error()
        self.index += 1
        return self.tokens[self.index - 1][0]

    def _expect(self, *wanted: str) -> None:
        for token in wanted:
            if self._peek() != token:
                raise self._error()
            self.index += 1

    def _or(self) -> Filter:
        parts = [self._and()]
        while self._peek() == "or":
            self.index += 1
            self.alternatives += 1
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else _any_of(parts)

    def _and(self) -> Filter:
        parts = [self._term()]
        while self._peek() == "and":
            self.index += 1
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def _term(self) -> Filter:
        if self._peek() == "(":
            self.index += 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self._error()
            inside = self._or()
            self._expect(")")
            self.depth -= 1
            return inside
        name = self._next()
        operator = self._next()
        if operator == "/":
            return self._any(name)
        if name not in _SINGLE:
            raise self._unknown(name)
        if operator == "eq":
            return _equal(name, [self._literal(name)])
        if operator == "in":
            self._expect("(")
            values = [self._literal(name)]
            while self._peek() == ",":
                self.index += 1
                values.append(self._literal(name))
            self._expect(")")
            self.alternatives += len(values) - 1
            return _equal(name, values)
        self.index -= 1
        raise self._error()

    def _any(self, name: str) -> Filter:
        if name not in _COLLECTIONS:
            raise self._unknown(name)
        self._expect("any", "(")
        variable = self._next()
        self._expect(":", variable, "eq")
        value = self._literal(name)
        self._expect(")")
        return _contains(name, value)

    def _literal(self, name: str) -> str | bool | None:
        token = self._next()
        if name == "accountEnabled" and token in ("true", "false"):
            return token == "true"
        if name != "accountEnabled" and token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token == "null" and name in _SINGLE:
            return None
        self.index -= 1
        raise self._error()

    def _unknown(self, name: str) -> QueryError:
        if name in PROPERTIES:
            return QueryError(
                f"Unsupported or invalid query filter clause specified for property '{name}' of resource 'User'.",
                "Request_UnsupportedQuery",
            )
        return QueryError(
            f"Invalid filter clause: Could not find a property named '{name}' on type 'microsoft.graph.user'."
        )


def _equal(name: str, values: list[str | bool | None]) -> Filter:
    read = _SINGLE[name]
    wanted = frozenset(value.lower() if isinstance(value, str) else value for value in values)

    def matches(user: User) -> bool:
        value = read(user)
        return (value.lower() if isinstance(value, str) else value) in wanted

    texts = [value for value in wanted if isinstance(value, str)]
    by_address = name in _BY_ADDRESS and len(texts) == len(wanted)
    return Filter(matches, frozenset(texts) if by_address else None, name in _ADVANCED)


def _contains(name: str, value: str | bool | None) -> Filter:
    read = _COLLECTIONS[name]
    wanted = str(value).lower()
    return Filter(
        lambda user: any(entry.lower() == wanted for entry in read(user)),
        frozenset({wanted.removeprefix("smtp:")}),
        name in _ADVANCED,
    )


def _any_of(parts: list[Filter]) -> Filter:
    known = [part.addresses for part in parts if part.addresses is not None]
    return Filter(
        lambda user: any(part.matches(user) for part in parts),
        frozenset().union(*known) if len(known) == len(parts) else None,
        any(part.advanced for part in parts),
    )


def _all_of(parts: list[Filter]) -> Filter:
    known = [part.addresses for part in parts if part.addresses is not None]
    return Filter(
        lambda user: all(part.matches(user) for part in parts),
        known[0] if known else None,  # one address part is enough to narrow the search; `matches` does the rest
        any(part.advanced for part in parts),
    )


def _options(query: str, known: set[str]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError:
        raise QueryError("The query string is malformed.") from None
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise QueryError(f"The query parameter '{name}' is not supported.", "Request_UnsupportedQuery")
        if name in options:
            raise QueryError(
                f"Query option '{name}' was specified more than once, but it must be specified at most once."
            )
        options[name] = value
    return options


def _count(text: str | None, eventual: bool) -> bool:
    if text not in (None, "true", "false"):
        raise QueryError(f"Invalid value '{text}' for $count query option found.")
    if text == "true" and not eventual:
        raise QueryError("$count is not currently supported.", "Request_UnsupportedQuery")
    return text == "true"


def _number(text: str | None, name: str, default: int, highest: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or not (0 if name == "$skiptoken" else 1) <= int(text) <= highest:
        raise QueryError(f"Invalid value '{text}' for {name} query option found. It must be between 1 and {highest}.")
    return int(text)
