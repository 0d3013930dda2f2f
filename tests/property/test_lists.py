"""Nothing that a file can hold does more than raise `InputError`, and what is written is read
back.
"""

import codecs
import csv
import io
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import email_validator
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.lists.ambiguities import Ambiguity
from tasks.lists.duplicates import SeenAddresses
from tasks.lists.guest_list import GuestList, open_list
from tasks.lists.options import ListOptions
from tasks.lists.records import RawRecord
from tasks.lists.text_lines import TextLines
from tasks.results.table import write_csv, write_jsonl
from tasks.results.write import Wanted, write_results
from tasks.rows.cleaning import clean_values
from tasks.rows.escaping import escape_cell, unescape_cell
from tasks.rows.fields import FIELDS, RESULT_COLUMNS
from tasks.rows.mail_syntax import _PLAIN, _PLAIN_LIMIT, NotAnAddress, parse_address
from tasks.rows.row import BadRow, ValidRow, validate_record
from tests.lists.exports import EXPORTS, replaced

CELLS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SPICY = st.text(alphabet="'=+-@\t\r\n \",;＝＋－＠ax", max_size=12)


class InPieces:
    """A source that gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._file = io.BytesIO(data)
        self._sizes = sizes or [1]
        self._turn = 0

    def read(self, size: int, /) -> bytes:
        self._turn += 1
        return self._file.read(min(size, self._sizes[self._turn % len(self._sizes)]))


def trimmed(values: Mapping[str, str]) -> dict[str, str]:
    """Return what a guest list takes from a result: the three fields both have, without what sticks
    to a copied cell.
    """
    taken = {field: text for field in ("email", "display_name", "ref") if (text := values.get(field, "").strip())}
    clean_values(taken)
    return taken


def rows_or_refusal(data: bytes, name: str) -> list[ValidRow | BadRow] | str:
    """Return the rows of a list, or the sentence it is refused with; anything else raised fails the
    test.
    """
    with ExitStack() as closing:
        try:
            return list(GuestList(io.BytesIO(data), name, path=name, closing=closing).rows())
        except InputError as error:
            return str(error)


@given(st.binary(max_size=400), st.sampled_from(["x.csv", "x.jsonl"]))
def test_any_bytes_are_rows_or_one_sentence(data: bytes, name: str) -> None:
    """A file of any content is read or refused, never a traceback."""
    rows_or_refusal(data, name)
    rows_or_refusal(b"email,display_name,groups,cc,language,redirect_url,send_message\n" + data, name)


HEADINGS = st.sampled_from(
    [
        "email",
        "E-Mail",
        "Mail",
        "Vorname",
        "Nom",
        "x",
        "",
        "a@a.example",
        '"',
        "version:v1.0",
        "sep=;",
        "mail 1 - value",
        "c_mail",
    ]
)


@given(
    st.lists(st.lists(HEADINGS, max_size=4), max_size=4),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.lists(
        st.sampled_from([b"a@a.example", b"J\xf6rg", b"\x81", b"\xc3\xb6", b";", b",", b"\n", b'"', b"\0"]), max_size=12
    ),
    st.builds(
        ListOptions,
        delimiter=st.sampled_from(["", ";", "#"]),
        encoding=st.sampled_from(["", "utf-8", "utf-16", "utf-7", "cp850", "idna", "rot13"]),
        mapping=st.dictionaries(st.sampled_from(["email", "ref"]), st.sampled_from(["x", "", "#2", "#0", "#99999999"])),
        header_line=st.integers(0, 4),
    ),
)
def test_any_export_is_rows_or_one_sentence(
    titles: list[list[str]], glue: str, encoding: str, rest: list[bytes], options: ListOptions
) -> None:
    """Titles, separators, encodings and options may be anything; so may the rows below."""
    data = "\n".join(glue.join(cells) for cells in titles).encode(encoding) + b"\n" + b"".join(rest)
    refused: InputError | None = None
    try:
        guests = GuestList(io.BytesIO(data), "x", options=options)
        list(guests.rows())
        guests.describe(with_sample=True)
    except InputError as error:
        refused = error
    assert refused is None or str(refused).endswith(".")
    if isinstance(refused, Ambiguity):  # an answer leads on: the same question does not come again
        assert all(choice.options != options for choice in refused.choices)


@given(
    st.lists(
        st.lists(st.one_of(CELLS, SPICY, st.sampled_from(["a@a.example", "B@b.example", ""])), max_size=4), max_size=8
    ),
    st.sampled_from(
        ["email", "email;ref", "ref;email;x", "email;x;;", "x;Mail;status", "x;y;z", "Email;Email 2;c_mail"]
    ),
    st.booleans(),
)
def test_a_list_with_its_outcomes_is_the_list(lines: list[list[str]], headings: str, crlf: bool) -> None:
    """Whatever stands in it, `--join` gives it back with an outcome for each row, and read again it
    is the same list. Where no heading tells which column has the addresses, the cells do: a line
    that cannot be divided into cells is none then, and one long cell in what is given back.
    """
    assume(headings != "x;y;z" or not any(sign in cell for cells in lines for cell in cells for sign in '";'))
    sink = io.StringIO()
    csv.writer(sink, delimiter=";", lineterminator="\r\n" if crlf else "\n").writerows([headings.split(";"), *lines])
    with TemporaryDirectory() as folder:
        path, target = Path(folder) / "list", Path(folder) / "joined"
        path.write_bytes(sink.getvalue().encode())
        rows = read_again(path)
        assume(rows)
        outcomes = [
            {
                **dict.fromkeys(RESULT_COLUMNS, ""),
                "row": row.number,
                "email": row.email if isinstance(row, BadRow) else row.row["email"],
            }
            for row in rows
        ]
        written = write_results(Wanted(output=target, join=path), lambda: iter(outcomes))
        assert (written.rows, written.left_over) == (len(rows), 0)
        assert read_again(target) == rows


def read_again(path: Path) -> list[ValidRow | BadRow]:
    """Return a file's rows without their lines, none where it is refused."""
    try:
        with open_list(path) as guests:
            return [
                BadRow(row.number, None, "", "") if isinstance(row, BadRow) else row._replace(line=None)
                for row in guests.rows()
            ]
    except InputError:
        return []


WORKBOOK = next(export.data for export in EXPORTS if export.name == "workbook, titles and groups of columns")


@given(
    st.lists(st.tuples(st.integers(0, len(WORKBOOK) - 1), st.integers(0, 255)), max_size=8),
    st.integers(0, len(WORKBOOK)),
)
def test_any_workbook_is_rows_or_one_sentence(changes: list[tuple[int, int]], end: int) -> None:
    """A workbook with any bytes changed or cut off is read or refused."""
    data = bytearray(WORKBOOK)
    for at, byte in changes:
        data[at] = byte
    rows_or_refusal(bytes(data), "x.xlsx")
    rows_or_refusal(bytes(data[:end]), "x.xlsx")


@given(st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=6)), max_size=3))
def test_any_sheet_inside_is_rows_or_one_sentence(changes: list[tuple[int, bytes]]) -> None:
    """The same for the XML inside, which no checksum protects from whoever wrote it."""

    def change(data: bytes) -> bytes:
        for at, piece in changes:
            data = data[: at % len(data)] + piece + data[at % len(data) + len(piece) :]
        return data

    for part in ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml"):
        rows_or_refusal(replaced(WORKBOOK, part, change), "x.xlsx")


@given(st.lists(st.one_of(CELLS, SPICY, st.just("a@a.example")), min_size=1, max_size=30), st.sampled_from(',\n\r"'))
def test_any_text_below_headings_is_rows_or_one_sentence(cells: list[str], glue: str) -> None:
    """Numbers run from 1 without a gap and lines only rise, whatever stands in the cells."""
    rows = rows_or_refusal(("email,ref,message,sponsors\n" + glue.join(cells)).encode(), "x.csv")
    if isinstance(rows, list):
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        lines = [row.line for row in rows if row.line is not None]
        assert lines == sorted(set(lines))


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=5))
def test_lines_are_the_same_however_the_bytes_arrive(data: bytes, sizes: list[int]) -> None:
    """The ends of blocks are nowhere to be seen in the lines, and no character is lost."""
    whole: list[str] | str
    pieces: list[str] | str
    try:
        lines = TextLines(io.BytesIO(data), "x")
        whole = list(lines)
        joined = "".join(whole)
        text = data.removeprefix(codecs.BOM_UTF8).decode(lines.encoding).removeprefix("\ufeff")
        assert text.endswith(joined)
        assert text.count("\n") >= sum("\n" in line for line in whole)
        skipped = lines.skipped
    except InputError as error:
        whole, skipped = str(error), 0
    try:
        again = TextLines(InPieces(data, sizes), "x")
        pieces = list(again)
        assert again.skipped == skipped
    except InputError as error:
        pieces = str(error)
    # A foreign file may be recognised by its first four bytes at once, or by a zero byte; both are
    # one sentence.
    assert pieces == whole or (isinstance(pieces, str) and isinstance(whole, str))


@given(st.one_of(st.text(), SPICY))
def test_escaping_is_undone_exactly(text: str) -> None:
    """No text changes on its way through a results file, and none of them begins like a formula
    there.
    """
    cell = escape_cell(text)
    assert unescape_cell(cell) == text
    assert not cell.lstrip(" ").startswith(tuple("=+-@\t\r\n＝＋－＠"))
    for part in re.split("[;,\t\r\n]", cell)[1:]:  # wherever a spreadsheet splits
        assert not part.lstrip(' "').startswith(tuple("=+-@＝＋－＠"))


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(RESULT_COLUMNS, st.one_of(CELLS, SPICY))), min_size=1, max_size=5))
def test_results_are_read_back(outcomes: list[dict[str, str]]) -> None:
    """Address, name and ref of every written outcome are what the reader finds, in both formats."""
    for outcome in outcomes:
        assume(trimmed(outcome).get("email"))  # a record without anything is an empty line
    for write in (write_csv, write_jsonl):
        sink = io.StringIO()
        write(outcomes, sink)
        guests = GuestList(io.BytesIO(sink.getvalue().encode()), "results")
        found = [record.values for record in guests.records() if isinstance(record, RawRecord)]
        assert [trimmed(values) for values in found] == [trimmed(outcome) for outcome in outcomes]
        assert guests.warnings == ()


@given(
    st.dictionaries(
        st.sampled_from([*FIELDS, "other"]),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), SPICY),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=4,
        ),
    )
)
def test_any_record_is_a_verdict(record: dict[str, Any]) -> None:
    """Validation is total: every record from a producer is a row or a fault, and never an
    exception.
    """
    answer = validate_record(record, 1)
    if isinstance(answer, ValidRow):
        assert validate_record(answer.row, 1) == answer  # what is stored is what would be stored again
    else:
        assert answer.reason


@given(
    st.text("aB1-_+.", min_size=1, max_size=12),
    st.lists(st.text("aX1-n", min_size=1, max_size=6), max_size=8),
    st.one_of(st.sampled_from(["test", "example", "local", "localhost", "onion", "arpa", "INVALID"]), st.text("aZ1-")),
)
def test_the_short_cut_accepts_nothing_the_library_refuses(local: str, labels: list[str], top: str) -> None:
    """The quick pattern is strictly narrower than email-validator: what passes it passes there, or
    raises here.
    """
    text = f"{local}@{'.'.join([*labels, top])}"
    if len(text) <= _PLAIN_LIMIT and _PLAIN.fullmatch(text):
        email_validator.validate_email(text, check_deliverability=False, test_environment=True)


@given(st.one_of(st.text(max_size=40), st.emails(), st.builds("{}@{}.{}".format, CELLS, CELLS, CELLS)))
def test_an_address_is_parsed_or_explained(text: str) -> None:
    """Every text is an address or a reason; an accepted one is accepted again."""
    reason = ""
    try:
        address = parse_address(text.strip())
    except NotAnAddress as error:
        reason = str(error)
    else:
        assert parse_address(address) == address
    assert not reason or reason.startswith("is not an e-mail address: ")


@given(st.lists(st.text(max_size=6)))
def test_seen_addresses_behave_like_a_dictionary(texts: list[str]) -> None:
    """The compact table gives the answers of the plain one."""
    seen, model = SeenAddresses(), dict[str, int]()
    for number, text in enumerate(texts, 1):
        assert seen.first(text, number) == model.get(text)
        model.setdefault(text, number)
