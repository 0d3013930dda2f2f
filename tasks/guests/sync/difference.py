"""A guest is compared with the row of the list that names them: what differs, and nothing else,
becomes a row of a sync job. Pure.

A list has no word about guests who are another list's, or nobody's, nor about those whom a person
has disabled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from worker.graph.marks import EXTENSIONS, SOURCE, Mark, read_mark
from worker.graph.users import DirectoryUser
from worker.operations.members.leave import LEAVE_GROUPS
from worker.operations.operation import THEN, Asked
from worker.operations.profile import EXPIRES, PROPERTIES, find_changes
from worker.operations.sync.sync import GUEST_ID

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.guests import Guest

MEMBERSHIPS = ("groups", "teams")
"""The columns of which a list manages what it names."""


class Kind(StrEnum):
    """What a list wants of a guest."""

    JOIN = "join"
    RETURN = "return"
    MOVE = "move"
    LEAVE = "leave"


class Kept(StrEnum):
    """Why a guest of the list is left as they are."""

    SAME = "unchanged"
    OTHERS = "of_other_lists"
    UNMARKED = "unmarked"
    DISABLED = "disabled_by_others"
    ROLE_HOLDER = "role_holders"
    MEMBER = "members"


@dataclass(frozen=True, slots=True)
class Change:
    """A change is one guest's. `number`: of the row in the list, 0 of who is not in it. `row`: what
    the job is given; `said`: in words what differs, `lost` what is taken away.
    """

    kind: Kind
    number: int
    email: str = field(repr=False)
    row: dict[str, Any] = field(repr=False)
    said: tuple[str, ...] = field(repr=False, default=())
    lost: tuple[str, ...] = field(repr=False, default=())

    def without_losses(self) -> Change | None:
        """Return the change where nothing may be taken away; None where nothing is left of it."""
        if self.kind is Kind.LEAVE:
            return None
        if not self.lost:
            return self
        if self.kind is Kind.MOVE and not self.said:
            return None
        row = {name: value for name, value in self.row.items() if name != LEAVE_GROUPS}
        return replace(self, row=row, lost=())


@dataclass(frozen=True, slots=True)
class Named:
    """What a list's names stand for in the tenant, by name: ids in lower case, of those only that
    can be used. `titles`: the groups and teams that the list manages, by id.
    """

    memberships: Mapping[str, str] = field(repr=False, default_factory=dict)
    sponsors: Mapping[str, str] = field(repr=False, default_factory=dict)
    titles: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one comparison. `adopt`: guests of the list without any mark become its own."""

    connection: Connection
    source: str
    named: Named
    adopt: bool = False

    @property
    def attribute(self) -> str:
        """Where the mark lies."""
        return self.connection.sync.source_attribute

    def is_own(self, guest: Guest) -> bool:
        """Whether a guest carries the list's mark."""
        mark = self.mark_of(guest)
        return mark is not None and mark.source == self.source

    def mark_of(self, guest: Guest) -> Mark | None:
        """Return a guest's mark."""
        return read_mark(guest.attributes, self.attribute)


def build_join(number: int, row: Mapping[str, Any], source: str) -> Change:
    """Return the change of who is new in the list."""
    names = [f"{column} {', '.join(row[column])}" for column in (*MEMBERSHIPS, "sponsors") if row.get(column)]
    ends = [f"until {row[EXPIRES]}"] if row.get(EXPIRES) else []
    return Change(Kind.JOIN, number, row["email"], {**row, SOURCE: source}, (*names, *ends))


def build_leave(guest: Guest, source: str) -> Change:
    """Return the change of a guest who is not in the list any more."""
    email = guest.email or guest.upn or guest.id
    row = {
        "email": email,
        GUEST_ID: guest.id,
        SOURCE: str(Mark(source, left=True)),
        THEN: "disable",
        "send_message": False,
    }
    return Change(Kind.LEAVE, 0, email, row)


def compare(
    terms: Terms, guest: Guest, number: int, row: Mapping[str, Any], memberships: Collection[str]
) -> Change | Kept:
    """Return what a list changes of a guest whom it names. `memberships`: the ids of the groups and
    teams, of those that the list manages, which the guest is in.
    """
    mark = terms.mark_of(guest)
    if mark is None and not (terms.adopt and guest.invited):
        return Kept.UNMARKED
    if mark is not None and mark.source != terms.source and not (mark.source and mark.left):
        return Kept.OTHERS
    if not guest.enabled and not (mark and mark.left):
        return Kept.DISABLED
    fields, said = _compare_profile(terms, guest, row)
    for column in MEMBERSHIPS:
        if joins := [name for name in row.get(column) or () if _lacks(terms.named.memberships.get(name), memberships)]:
            fields[column] = joins
            said.append(f"{column} + {', '.join(joins)}")
    if missing := [
        name for name in row.get("sponsors") or () if _lacks(terms.named.sponsors.get(name), guest.sponsor_ids)
    ]:
        fields["sponsors"] = missing
        said.append(f"sponsors + {', '.join(missing)}")
    lost = _find_lost(terms, row, memberships)
    if lost:
        fields[LEAVE_GROUPS] = list(lost)
    if guest.enabled and not fields and mark and not mark.left:
        return Kept.SAME
    own = {"email": row["email"], GUEST_ID: guest.id, SOURCE: terms.source, "send_message": False}
    echo = {"ref": row["ref"]} if row.get("ref") else {}
    if not guest.enabled:
        return Change(Kind.RETURN, number, row["email"], {**own, **echo, **fields, THEN: "enable"}, tuple(said), lost)
    if str(mark or "") != terms.source:
        said.append(f"marked {terms.source}")
    return Change(Kind.MOVE, number, row["email"], {**own, **echo, **fields}, tuple(said), lost)


def _compare_profile(terms: Terms, guest: Guest, row: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the columns that differ, as the profile's stage would write them."""
    there = {**guest.more, "displayName": guest.display_name, EXTENSIONS: guest.attributes}
    user = DirectoryUser(guest.id, guest.created_at, member=False, enabled=guest.enabled, more=there)
    body = find_changes(Asked(0, row, user), terms.connection)
    columns = {column: guest.more.get(name) for column, name in PROPERTIES.items() if name in body}
    if "displayName" in body:
        columns["display_name"] = guest.display_name
    if EXTENSIONS in body:
        columns[EXPIRES] = guest.attributes.get(terms.connection.clean.expiry_attribute)
    said = [f"{column} {_quote(before)} -> {_quote(row[column])}" for column, before in columns.items()]
    return {column: row[column] for column in columns}, said


def _find_lost(terms: Terms, row: Mapping[str, Any], memberships: Collection[str]) -> tuple[str, ...]:
    """Return the names of what the list manages and its row does not name any more; nothing where
    the row has a name that stands for nothing, for that may be meant for any of them.
    """
    names = [name for column in MEMBERSHIPS for name in row.get(column) or ()]
    wanted = {terms.named.memberships.get(name) for name in names}
    if None in wanted:
        return ()
    titles = terms.named.titles
    return tuple(sorted(titles[one] for one in memberships if one in titles and one not in wanted))


def _lacks(wanted: str | None, there: Collection[str]) -> bool:
    return wanted is not None and wanted not in there


def _quote(value: object) -> str:
    return f"“{value}”" if value else "nothing"
