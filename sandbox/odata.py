"""`$filter` and the other query options of GET /users, in the shapes that usher sends; all else is
refused, never ignored.

    filter  = clause *( " or " clause )
    clause  = ( "id" / "mail" / "userPrincipalName" ) " in (" text *( "," text ) ")"
            / ( "mail" / "userPrincipalName" / "displayName" ) " eq " text
            / "otherMails/any(m:m eq " text ")" / "proxyAddresses/any(p:p eq " text ")"
    listed  = "userType eq " text [ " and externalUserState eq " text ]

All of them but names are alternatives on ids or addresses, so a query for 15 people looks them up
and does not walk a directory of a million. Graph itself takes many more shapes
(https://learn.microsoft.com/graph/filter-query-parameter): the stand-in has those that somebody can
see usher use.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from sandbox.directory import User

MAX_ALTERNATIVES = 15
PAGE = 100
MAX_PAGE = 999
MAX_SIGN_IN_PAGE = 500
"""https://learn.microsoft.com/entra/identity/monitoring-health/howto-manage-inactive-user-accounts"""
SIGN_INS = "signInActivity"
SPONSORS = "sponsors($select=id,displayName)"
"""What can be expanded of a listed user."""

TEXT = "'(?:[^']|'')*'"
"""A quoted text of a `$filter`, a quote in it doubled."""
_OR = " or "
_TOKEN = "page:"
_CLAUSE = re.compile(
    rf"(?P<single>id|mail|userPrincipalName) in \((?P<texts>{TEXT}(?:,{TEXT})*)\)"
    rf"|(?P<one>mail|userPrincipalName|displayName) eq (?P<own>{TEXT})"
    rf"|(?P<many>otherMails/any\(m:m|proxyAddresses/any\(p:p) eq (?P<text>{TEXT})\)"
)
_LISTED = re.compile(rf"userType eq (?P<type>{TEXT})(?: and externalUserState eq (?P<state>{TEXT}))?")
_READ: dict[str, Callable[[User], tuple[str | None, ...]]] = {
    "id": lambda user: (user.id,),
    "mail": lambda user: (user.mail,),
    "userPrincipalName": lambda user: (user.upn,),
    "displayName": lambda user: (user.display_name,),
    "otherMails": lambda user: user.other_mails,
    "proxyAddresses": lambda user: user.proxy_addresses,
}
_ADVANCED = frozenset({"otherMails", "proxyAddresses"})

PROPERTIES: dict[str, Callable[[User], Any]] = {
    "id": lambda user: user.id,
    "mail": lambda user: user.mail,
    "userPrincipalName": lambda user: user.upn,
    "displayName": lambda user: user.display_name,
    "userType": lambda user: user.user_type,
    "creationType": lambda user: user.creation_type,
    "externalUserState": lambda user: user.state,
    "accountEnabled": lambda user: user.enabled,
    "otherMails": lambda user: list(user.other_mails),
    "proxyAddresses": lambda user: list(user.proxy_addresses),
    "createdDateTime": lambda user: user.created_at or None,
    "externalUserStateChangeDateTime": lambda user: user.state_changed_at,
    "deletedDateTime": lambda user: user.deleted_at,
    "givenName": lambda user: (user.extra or {}).get("givenName"),
    "surname": lambda user: (user.extra or {}).get("surname"),
    "companyName": lambda user: (user.extra or {}).get("companyName"),
    "usageLocation": lambda user: (user.extra or {}).get("usageLocation"),
    "preferredLanguage": lambda user: (user.extra or {}).get("preferredLanguage"),
    "jobTitle": lambda user: (user.extra or {}).get("jobTitle"),
    "department": lambda user: (user.extra or {}).get("department"),
    "businessPhones": lambda user: (user.extra or {}).get("businessPhones") or [],
    "mobilePhone": lambda user: (user.extra or {}).get("mobilePhone"),
    "onPremisesExtensionAttributes": lambda user: _extension_attributes(user),
    "officeLocation": lambda user: None,
    SIGN_INS: lambda user: user.sign_ins,
}
"""What can be selected of a user."""
_EXTENSIONS = tuple(f"extensionAttribute{number}" for number in range(1, 16))

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
"""What Graph returns of a user without `$select`: nearly all that usher needs is left out."""


class QueryError(Exception):
    """A query Graph would answer with 400; `code` is Graph's error code, the text its message."""

    def __init__(self, message: str, code: str = "BadRequest") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed `$filter`: which texts, folded, each property may have; one is enough."""

    wanted: dict[str, frozenset[str]]

    @property
    def addresses(self) -> frozenset[str]:
        """Every address that a matching user has one of, unless it is asked for by its id."""
        return frozenset(
            text.removeprefix("smtp:") for name, texts in self.wanted.items() if name != "id" for text in texts
        )

    @property
    def ids(self) -> frozenset[str]:
        """Every id that is asked for."""
        return self.wanted.get("id", frozenset())

    @property
    def walks(self) -> bool:
        """Whether somebody's name is asked for, which no index helps to find."""
        return "displayName" in self.wanted

    @property
    def advanced(self) -> bool:
        """Whether Graph wants it as an advanced query.
        https://learn.microsoft.com/graph/aad-advanced-queries
        """
        return not self.wanted.keys().isdisjoint(_ADVANCED)

    def matches(self, user: User) -> bool:
        """Whether a user is one of those asked for; text is compared without case."""
        return any(
            value is not None and value.lower() in texts
            for name, texts in self.wanted.items()
            for value in _READ[name](user)
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """A parsed `$filter` that lists all users of a type, or those in a state; '' for any."""

    user_type: str
    state: str
    addresses: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    walks: bool = True

    @property
    def advanced(self) -> bool:
        """Whether Graph wants it as an advanced query."""
        return bool(self.state)

    def matches(self, user: User) -> bool:
        """Whether a user is one of those asked for."""
        return user.user_type.lower() == self.user_type and self.state in ("", (user.state or "").lower())


@dataclass(frozen=True, slots=True)
class UsersQuery:
    """The query options of GET /users."""

    filter: Filter | Listed | None
    select: tuple[str, ...]
    has_select: bool
    top: int
    skip: int
    count: bool
    sponsors: bool = False


def parse_users_query(query: str, *, eventual: bool) -> UsersQuery:
    """Read a raw query string. `eventual`: of that `ConsistencyLevel`. Raises `QueryError`."""
    options = read_options(query, {"$filter", "$select", "$top", "$count", "$skiptoken", "$expand"})
    count = _count(options.get("$count"), eventual)
    found = parse_filter(options["$filter"]) if "$filter" in options else None
    if found and found.advanced and not (eventual and count):
        raise QueryError(
            "The request uses advanced query capabilities: it needs the header 'ConsistencyLevel: eventual' and"
            " $count=true.",
            "Request_UnsupportedQuery",
        )
    if options.get("$expand", SPONSORS) != SPONSORS:
        raise QueryError("Parsing OData Select and Expand failed: this can not be expanded here.")
    return _users_query(options, found, count=count)


def parse_single_query(query: str) -> tuple[tuple[str, ...], bool]:
    """Read the query string of a request for one object: what is selected, and if it says so."""
    options = read_options(query, {"$select"})
    return parse_select(options.get("$select")), "$select" in options


def parse_page_query(query: str) -> UsersQuery:
    """Read the query string of a request for users in pages, not filtered. Raises `QueryError`."""
    return _users_query(read_options(query, {"$select", "$top", "$skiptoken"}), None, count=False)


def _users_query(options: Mapping[str, str], found: Filter | Listed | None, *, count: bool) -> UsersQuery:
    select = parse_select(options.get("$select"))
    most = MAX_SIGN_IN_PAGE if SIGN_INS in select else MAX_PAGE
    return UsersQuery(
        filter=found,
        select=select,
        has_select="$select" in options,
        top=read_top(options, most),
        skip=read_page(options.get("$skiptoken")),
        count=count,
        sponsors="$expand" in options,
    )


def parse_select(
    text: str | None, known: Collection[str] = PROPERTIES, default: tuple[str, ...] = DEFAULT_SELECT, kind: str = "user"
) -> tuple[str, ...]:
    """Read `$select`; without one, Graph's default properties. Raises `QueryError` for one that
    `kind` does not have.
    """
    if text is None:
        return default
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            raise QueryError(
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                f"'microsoft.graph.{kind}'."
            )
    return names


def parse_filter(text: str) -> Filter | Listed:
    """Read a `$filter` on users. Raises `QueryError` for what is outside this module's grammar."""
    if (listed := _LISTED.fullmatch(text)) is not None:
        return Listed(listed["type"][1:-1].lower(), (listed["state"] or "''")[1:-1].lower())
    found: dict[str, set[str]] = {}
    for clause, texts in read_clauses(text, _CLAUSE):
        name = clause["single"] or clause["one"] or clause["many"].partition("/")[0]
        found.setdefault(name, set()).update(texts)
    return Filter({name: frozenset(texts) for name, texts in found.items()})


def read_clauses(text: str, pattern: re.Pattern[str]) -> list[tuple[re.Match[str], list[str]]]:
    """Read the alternatives of a `$filter`, each with its texts, folded. Raises `QueryError`."""
    found: list[tuple[re.Match[str], list[str]]] = []
    at = 0
    while not found or at < len(text):
        joined = bool(found) and text.startswith(_OR, at)
        at += len(_OR) * joined
        clause = pattern.match(text, at) if joined or not found else None
        if not clause:
            raise QueryError(f"Invalid filter clause: Syntax error at position {at} in '{text}'.")
        found.append((clause, [one[1:-1].replace("''", "'").lower() for one in re.findall(TEXT, clause[0])]))
        at = clause.end()
    alternatives = sum(len(texts) for _, texts in found)
    if alternatives > MAX_ALTERNATIVES:
        raise QueryError(
            "Too many child clauses specified in search filter expression containing 'OR' operators: "
            f"{alternatives}. Max allowed: {MAX_ALTERNATIVES}."
        )
    return found


def page_link(base_url: str, path: str, query: str, skip: int) -> str:
    """Return the `@odata.nextLink` that goes on with the same query after `skip` entries; nobody
    but the sandbox reads its token.
    """
    token = base64.urlsafe_b64encode(f"{_TOKEN}{skip}".encode()).decode().rstrip("=")
    rest = "&".join(part for part in query.split("&") if part and not part.startswith(("$skiptoken", "%24skip")))
    return f"{base_url}/v1.0/{path}?{rest}{'&' if rest else ''}$skiptoken={token}"


def read_page(token: str | None) -> int:
    """Return how many entries a page's token passes over. Raises `QueryError`."""
    if token is None:
        return 0
    try:
        word, _, skip = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().rpartition(":")
        if f"{word}:" == _TOKEN:
            return int(skip)
    except ValueError:
        pass
    raise QueryError("The page token is invalid.", "Request_BadRequest")


def read_options(query: str, known: set[str]) -> dict[str, str]:
    """Read a query string, each option once. Raises `QueryError` for one that is not known."""
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


def _extension_attributes(user: User) -> dict[str, Any]:
    kept = (user.extra or {}).get("onPremisesExtensionAttributes")
    return {**dict.fromkeys(_EXTENSIONS), **(kept if isinstance(kept, dict) else {})}


def read_top(options: Mapping[str, str], most: int = MAX_PAGE) -> int:
    """Read how many entries a page is to have. Raises `QueryError`."""
    text = options.get("$top", str(PAGE))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= most:
        raise QueryError(f"Invalid value '{text}' for $top query option found. It must be between 1 and {most}.")
    return int(text)
