"""The headings of a list become the fields of a row. What a heading can mean is in `headings`; what
it does mean is decided here.

An option (`--map`) counts most. Where the headings leave the address open, the cells decide. Two
columns that could equally be the address, or the same part of a name, are a question and never a
guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tasks.errors import InputError
from tasks.lists.address_columns import Rows, find_address_columns, find_only, find_rival, is_empty
from tasks.lists.admin_center_template import TEMPLATE_COLUMNS, template_name
from tasks.lists.ambiguities import Ambiguity, Choice
from tasks.lists.connection_column import ask_for_connection, find_doubtful
from tasks.lists.earlier_results import find_foreseen, find_not_kept, find_outcomes, find_stages
from tasks.lists.headings import (
    FIELD_OF,
    GIVEN_NAME_KEYS,
    MAIL,
    NAME_KEYS,
    SIGN_IN_KEYS,
    heading_key,
    is_like_email,
    rank_of_email,
)
from tasks.lists.options import DELIMITERS, ListOptions
from tasks.rows.fields import CONNECTION, FIELDS, OUTCOME_COLUMNS

_OUTCOME_KEYS: Final = frozenset(heading_key(column) for column in OUTCOME_COLUMNS)
_SHOWN: Final = 10  # headings named in one sentence
_OFFERED: Final = 20  # answers to one question
MOST_COLUMNS: Final = 16_384
"""Of a list, as of an Excel sheet:
https://support.microsoft.com/office/excel-specifications-and-limits
"""
_SIGN_IN: Final = 4  # the rank of names to sign in with: those of colleagues, where nobody has an address
_UNSURE: Final = 10  # a rank behind every rank of an e-mail heading


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one heading stands for: a field, or nothing; `known` is also true for a results file's
    own columns.

    Of two keys of one JSON object that mean the same field the one with the lower `rank` counts.
    """

    field: str | None
    known: bool
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a list, left to right: a field's name, or None for a column that is not read;
    `groups_status` for how a stage ended in an earlier run.

    `ignored` are the headings that mean nothing here, for one warning; `read` the others with their
    fields, for the plan. `from_template`: the admin center's template. `joined`: where the outcomes
    of an earlier run begin, or None. `is_only_one`: the address's column is the only one with
    addresses. `rivals`: the columns that it was preferred to for that, or None.
    """

    fields: tuple[str | None, ...]
    ignored: tuple[str, ...]
    from_template: bool
    read: tuple[tuple[str, str], ...] = ()
    joined: int | None = None
    is_only_one: bool = False
    rivals: tuple[int, ...] = ()


def parse_heading(heading: str, mapping: Mapping[str, str] | None = None) -> Meaning:
    """Say what a heading means by itself, as the key of a JSON object; case, blanks, punctuation
    and accents make no difference.
    """
    for named, wanted in (mapping or {}).items():
        if wanted and heading_key(wanted) == heading_key(heading):
            return Meaning(named, known=True, rank=-1)
    key = _key(heading)
    rank = rank_of_email(key)
    field: str | None = FIELD_OF.get(key)
    known = key in _OUTCOME_KEYS
    if rank is not None:
        field = "email"
    elif field is None and key in NAME_KEYS:
        field, rank = "display_name", _UNSURE
    if mapping and field in mapping:  # its column was named, and is another one, or none
        field = None
    return Meaning(field, known=known or field is not None, rank=rank or 0)


def find_email(cells: Sequence[str], mapping: Mapping[str, str]) -> bool:
    """Tell whether these cells are headings: one is the e-mail column's, and none an address."""
    if any("@" in cell for cell in cells):
        return False
    if wanted := mapping.get("email"):
        if wanted.startswith("#"):
            return any(_key(cell) in FIELD_OF for cell in cells)
        return any(_is(cell, wanted) for cell in cells)
    return any(rank_of_email(_key(cell)) is not None for cell in cells)


def looks_like_email(cell: str) -> bool:
    """Tell whether a heading might be the address's, though nobody can be sure."""
    return is_like_email(_key(cell))


def parse_headings(headings: Sequence[str], name: str, options: ListOptions | None = None, rows: Rows = ()) -> Columns:
    """Read the heading line of the file called `name`; `rows` are some from below it.

    Raises `InputError` when there is no e-mail column or `--map` names none that is there,
    `Ambiguity` when there are two.
    """
    options = options or ListOptions()
    width = max((index for index, heading in enumerate(headings, 1) if heading.strip()), default=0)
    # A column that was named by its number may have no heading.
    numbers = [int(wanted[1:]) for wanted in options.mapping.values() if wanted[:1] == "#" and wanted[1:].isdecimal()]
    width = max([width, *(number for number in numbers if number <= MOST_COLUMNS)])
    if rows and not find_email(headings, options.mapping):
        width = max([width, *(column + 1 for column in find_address_columns(rows))])
    cells = [" ".join(heading.split()) for heading in (*headings[:width], *[""] * (width - len(headings)))]
    outcomes = find_outcomes(cells)
    joined = outcomes.start if outcomes else None
    chosen = _mapped(cells, name, options)
    own = {*outcomes, *find_foreseen(cells)}
    free = {index: _key(cell) for index, cell in enumerate(cells) if index not in own and index not in chosen}
    taken = {*chosen.values(), *options.mapping}
    rivals: tuple[int, ...] = ()
    for field, indexes in _claims(free, {*chosen.values()}).items():
        if field in taken:
            continue
        column = indexes[0]
        if len(indexes) > 1:
            only = find_only(rows, indexes) if field == "email" else None
            if only is None:
                raise _ask(field, indexes, cells, name, options)
            column, rivals = only, tuple(index for index in indexes if index != only)
        chosen[column] = field
        taken.add(field)
    is_only_one = bool(rivals)
    if "email" not in chosen.values():
        columns = _choose_by_cells(free, chosen, rows)
        if len(columns) > 1:
            raise _ask("email", columns, cells, name, options)
        if not columns:
            raise explain_no_email(cells, name)
        chosen[columns[0]] = "email"
        is_only_one, rivals = True, tuple(index for index in free if index not in chosen)
    elif not rivals and "email" not in options.mapping:
        column = next(index for index, field in chosen.items() if field == "email")
        if (other := _instead_of_empty(column, free, chosen, rows)) is not None:
            del chosen[column]
            chosen[other] = "email"
            is_only_one, rivals = True, (column,)
        elif (rank_of_email(free[column]) or 0) > 1:
            is_only_one = find_address_columns(rows) == [column]
    told = find_stages(cells, outcomes) | find_not_kept(cells, outcomes)
    fields = tuple(chosen.get(index) or told.get(index) for index in range(width))
    ours = joined is not None or "status" in free.values()
    ignored = tuple(
        cells[index] or f"(column {index + 1}, without a heading)"
        for index, key in free.items()
        if index not in chosen and not (key in _OUTCOME_KEYS and (ours or key != MAIL))
    )
    _need_no_other_connection(cells, free, chosen, rows, name, options)
    read = tuple((field, cells[index]) for index, field in sorted(chosen.items()))
    from_template = any(template_name(cell) in TEMPLATE_COLUMNS for cell in cells)
    return Columns(fields, ignored, from_template, read, joined, is_only_one, rivals)


def _need_no_other_connection(
    cells: Sequence[str],
    free: Mapping[int, str],
    chosen: Mapping[int, str],
    rows: Rows,
    name: str,
    options: ListOptions,
) -> None:
    """Raise `Ambiguity` where a column that is not read may be meant for `connection`."""
    if CONNECTION in {*chosen.values(), *options.mapping}:
        return
    unread = (index for index in free if index not in chosen)
    found = find_doubtful(cells, unread, rows, options.connections)
    if found is not None:
        wanted = cells[found] if cells[found] and cells.count(cells[found]) == 1 else f"#{found + 1}"
        raise ask_for_connection(_quote(cells[found]), wanted, quote_for_shell(wanted), name, options)


def _choose_by_cells(free: Mapping[int, str], chosen: Mapping[int, str], rows: Rows) -> list[int]:
    """Return the column of addresses where no heading says which it is; several where nobody can
    know, none where there is none.
    """
    open_to = [index for index in free if index not in chosen]
    columns = [column for column in find_address_columns(rows) if column in open_to]
    if len(columns) == 1:
        found = (find_rival(cells, columns[0], open_to) for cells in rows)
        columns += sorted({rival for rival in found if rival is not None})
    return columns


def _instead_of_empty(column: int, free: Mapping[int, str], chosen: Mapping[int, str], rows: Rows) -> int | None:
    """Return the other e-mail column that alone has addresses, where the first is always empty."""
    if not rows or not is_empty(rows, column):
        return None
    others = [
        index
        for index, key in free.items()
        if index not in chosen and (rank := rank_of_email(key)) is not None and rank < _SIGN_IN
    ]
    return find_only(rows, others)


def _claims(free: Mapping[int, str], named: set[str]) -> dict[str, list[int]]:
    """Return for every field the columns that claim it with equal right."""
    claims: dict[str, list[int]] = {}
    ranks: dict[int, list[int]] = {}
    for index, key in free.items():
        if (rank := rank_of_email(key)) is not None:
            ranks.setdefault(rank, []).append(index)
        elif (field := FIELD_OF.get(key)) is not None:
            claims.setdefault(field, []).append(index)
    # "E-Mail privat" is a rival of "E-Mail" and of "Mail"; "Email 2" and a sign-in name are none of
    # anything.
    first = [*(ranks.get(0) or ranks.get(1, [])), *ranks.get(2, [])]
    if emails := sorted(first) or ranks.get(3) or ranks.get(4):
        claims["email"] = emails
    names = [index for index, key in free.items() if key in NAME_KEYS]
    if names:
        has = {*claims, *named}
        field = _name_beside(has, free[names[0]])
        if field is not None:
            claims[field] = names
    return claims


def _name_beside(has: set[str], key: str) -> str | None:
    """Return what "Name", "Nome" or "Nombre" means beside the columns there are."""
    if key in GIVEN_NAME_KEYS:
        if "last_name" in has and "first_name" not in has:
            return "first_name"
    elif "first_name" in has and "last_name" not in has:
        return "last_name"
    return None if "display_name" in has else "display_name"


def _mapped(cells: Sequence[str], name: str, options: ListOptions) -> dict[int, str]:
    """Return the columns that `--map` names. Raises `InputError`."""
    chosen: dict[int, str] = {}
    for field, wanted in options.mapping.items():
        if not wanted:
            continue
        found = _columns_called(cells, wanted)
        if not found:
            raise InputError(
                f"{name} has no column {quote_headings([wanted])}, which --map names for {field}; it has"
                f" {quote_headings(cells)}."
            )
        if len(found) > 1:
            raise _ask(field, found, cells, name, options)
        if found[0] in chosen:
            raise InputError(
                f"--map gives column {quote_headings([wanted])} to {chosen[found[0]]} and to {field}; a column is one"
                " field."
            )
        chosen[found[0]] = field
    return chosen


def _columns_called(cells: Sequence[str], wanted: str) -> list[int]:
    if wanted.startswith("#") and wanted[1:].isdecimal():
        return [int(wanted[1:]) - 1] if 0 < int(wanted[1:]) <= len(cells) else []
    exact = [index for index, cell in enumerate(cells) if cell == " ".join(wanted.split())]
    return exact or [index for index, cell in enumerate(cells) if _is(cell, wanted)]


def _ask(field: str, indexes: Sequence[int], cells: Sequence[str], name: str, options: ListOptions) -> Ambiguity:
    counted = Counter(cells)
    choices, ways = [], []
    for index in indexes[:_OFFERED]:
        alone = counted[cells[index]] == 1
        wanted = cells[index] if alone else f"#{index + 1}"
        label = quote_headings([cells[index]]) + ("" if alone else f" (column {index + 1})")
        choices.append(Choice(label, replace(options, mapping={**options.mapping, field: wanted})))
        ways.append(f"--map {field}={quote_for_shell(wanted)}")
    if field != "email":
        choices.append(Choice("none of them", replace(options, mapping={**options.mapping, field: ""})))
    both = "two" if len(indexes) == 2 else str(len(indexes))
    return Ambiguity(
        f"{name} has {both} columns for {field}, {quote_headings([cells[index] for index in indexes])}; say which one"
        f" to read: {' or '.join(ways[:_SHOWN])}.",
        f"{name} has {both} columns for {field}. Which one is to be read?",
        tuple(choices),
    )


def ask_again(
    columns: Columns, rival: int, headings: Sequence[str], name: str, options: ListOptions, line: int
) -> Ambiguity:
    """Return the question that a row raises whose address stands in a rival of the column that was
    chosen by its cells.
    """
    cells = [" ".join(heading.split()) for heading in headings]
    question = _ask("email", sorted([columns.fields.index("email"), rival]), cells, name, options)
    return Ambiguity(
        f"In line {line} another column holds the address than before. {question}", question.question, question.choices
    )


def ask_for_email(candidates: Sequence[str], name: str, options: ListOptions, line: int) -> Ambiguity:
    """Return the question which of these headings, none of them known, is the address's."""
    ways = [f"--map email={quote_for_shell(heading)}" for heading in candidates]
    return Ambiguity(
        f"{name} has no column that is surely the address; if it is {quote_headings(candidates)}, say"
        f" {' or '.join(ways[:_SHOWN])}.",
        f"{name} has no column that is surely the address. Which one holds the addresses?",
        tuple(
            Choice(
                quote_headings([heading]),
                replace(options, mapping={**options.mapping, "email": heading}, header_line=line),
            )
            for heading in candidates
        ),
    )


def describe_ignored(headings: Iterable[str], what: str = "column") -> str:
    """Return the one warning about columns (or, in JSONL, keys) that mean nothing to usher."""
    names = list(headings)
    return f"Ignored {what}{'s' if len(names) != 1 else ''}: {quote_headings(names)}."


def quote_headings(headings: Sequence[str]) -> str:
    """Return headings for a sentence: quoted, shortened, ten at most, safe for a terminal."""
    shown = [_quote(heading) for heading in headings[:_SHOWN]]
    more = len(headings) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _quote(heading: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in heading.strip()[:41])
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"


def quote_for_shell(text: str) -> str:
    """A heading as it is typed in a shell."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if shown.replace("-", "").replace("_", "").isalnum() else "'" + shown.replace("'", "'\\''") + "'"


def _key(heading: str) -> str:
    inside = template_name(heading)
    if inside is not None:
        if inside in TEMPLATE_COLUMNS:
            return TEMPLATE_COLUMNS[inside].replace("_", "")
        if inside in FIELD_OF or inside in SIGN_IN_KEYS or inside == MAIL:
            return inside
    # Two headings that another delimiter holds apart are not one heading.
    if any(delimiter in heading for delimiter in DELIMITERS):
        return ""
    return heading_key(heading)


def _is(cell: str, wanted: str) -> bool:
    return bool(key := heading_key(wanted)) and heading_key(cell) == key


def explain_no_email(headings: Sequence[str], name: str) -> InputError:
    """Return why none of these headings is the address's; addresses stay out of the message."""
    if any("@" in heading for heading in headings):  # a list without headings
        return InputError(
            f"{name} begins with an address, not with headings; put a line with the word email above the addresses."
        )
    return InputError(
        f"{name} has no column called email; it has {quote_headings(headings)}. "
        f"Known columns: {', '.join(FIELDS)} (only email is required); another heading is named with --map email='…'."
    )
