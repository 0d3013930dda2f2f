import io
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import InputError
from tasks.lists.guest_list import GuestList, open_list
from tasks.lists.records import RawRecord
from tasks.lists.text_lines import MAX_LINE_BYTES
from tasks.rows.row import BadRow, ValidRow


def read(content: bytes | str, path: str = "guests.csv") -> tuple[list[ValidRow | BadRow], tuple[str, ...]]:
    """Read a list from memory; return its rows and its warnings."""
    data = content.encode() if isinstance(content, str) else content
    guests = GuestList(io.BytesIO(data), path, path=path)
    rows = list(guests.rows())
    return rows, guests.warnings


def rows_of(content: bytes | str, path: str = "guests.csv") -> list[dict[str, Any]]:
    """Return the rows of a list in which every one is valid."""
    rows, _ = read(content, path)
    assert all(isinstance(row, ValidRow) for row in rows), rows
    return [row.row for row in rows if isinstance(row, ValidRow)]


def refusal(content: bytes | str, path: str = "guests.csv") -> str:
    """Return the sentence with which a file is refused."""
    with pytest.raises(InputError) as caught:
        read(content, path)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_a_plain_csv() -> None:
    """Columns in any order become fields; number counts rows, line is the physical line."""
    rows, warnings = read("display_name,email\nAnn,ann@a.example\n\nBob,bob@b.example")
    assert rows == [
        ValidRow(1, 2, {"display_name": "Ann", "email": "ann@a.example"}),
        ValidRow(2, 4, {"display_name": "Bob", "email": "bob@b.example"}),
    ]
    assert warnings == ()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_quoted_lines(end: str) -> None:
    """All three line ends are read, line numbers included, and kept in a quoted cell."""
    text = end.join(
        ["email,message,ref", '"a@a.example","one', 'two ""three""",1', "", "b@b.example,,2", ",,", "bad,,3"]
    )
    rows, _ = read(text)
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 5), (3, 7)]
    assert isinstance(rows[0], ValidRow)
    assert rows[0].row["message"] == 'one\ntwo "three"'


def test_the_utf8_mark_is_accepted() -> None:
    """Excel's "CSV UTF-8" begins with a mark that is no part of the first heading."""
    assert rows_of(b"\xef\xbb\xbfemail\r\nj\xc3\xb6rg@a.example\r\n") == [{"email": "jörg@a.example"}]


@pytest.mark.parametrize(
    "headings",
    ["Email,Display Name,Redirect-URL", "E-MAIL,display_name,redirectUrl", " e_mail , DISPLAY-NAME ,redirect url"],
)
def test_headings_are_recognised_by_their_letters(headings: str) -> None:
    """Case, blanks, underscores and hyphens make no difference."""
    rows = rows_of(f"{headings}\na@a.example,Ann,https://x.example")
    assert rows == [{"email": "a@a.example", "display_name": "Ann", "redirect_url": "https://x.example"}]


def test_unknown_columns_are_ignored_with_one_warning() -> None:
    """The warning names them; a results file's own columns are passed over in silence."""
    rows, warnings = read("email,Floor,status,error_message,Cost\x1b,\na@a.example,1,failed,x,3")
    assert rows == [ValidRow(1, 2, {"email": "a@a.example"})]
    assert warnings == ("Ignored columns: “Floor”, “Cost?”.",)


def test_missing_cells_are_fine_and_surplus_ones_are_not() -> None:
    """A row cut short lacks its last cells; one too long has probably an unquoted comma, which has
    moved its address.
    """
    rows, _ = read("display_name,email,ref\nAnn,a@a.example\nBell, Bob,b@b.example,7\nCy,c@c.example,8,,\n")
    assert rows[0] == ValidRow(1, 2, {"display_name": "Ann", "email": "a@a.example"})
    assert isinstance(rows[1], BadRow)
    assert (rows[1].number, rows[1].line, rows[1].column, rows[1].email) == (2, 3, "", "Bob")
    assert "has 4 cells where the headings name 3" in rows[1].reason
    assert rows[2] == ValidRow(3, 4, {"email": "c@c.example", "display_name": "Cy", "ref": "8"})


def test_a_stray_quotation_mark_costs_one_row() -> None:
    """The rows around it are read."""
    rows, _ = read('email,display_name\na@a.example,A\nb@b.example,"Bob "the" X"\nc@c.example,C\n')
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 3), (3, 4)]
    assert isinstance(rows[1], BadRow)
    assert "quotation mark" in rows[1].reason


def test_text_behind_a_quoted_cell_is_called_so() -> None:
    """Whose quotation marks are written twice already is not told to write them twice."""
    rows, _ = read('email,display_name\n"a""b"@a.example,A\n')
    assert isinstance(rows[0], BadRow)
    assert rows[0].reason.startswith("has more behind a quotation mark that closes its cell")


def test_blanks_before_a_quotation_mark_are_no_part_of_the_cell() -> None:
    """As in `"a", "b"`: the quotation marks are none of the name's, and a separator inside them is
    none.
    """
    assert rows_of('"email", "name", "ref"\n"a@a.example",  "Lee, Ann", 7\n') == [
        {"email": "a@a.example", "display_name": "Lee, Ann", "ref": "7"}
    ]


def test_a_quotation_mark_that_is_closed_lines_later_says_which_rows_it_took() -> None:
    """They are one bad row, and whoever mends the list is told from where to where."""
    rows, _ = read('email,name\na@a.example,"Ann\nb@a.example,Bob\nc@a.example,"Cy"\nd@a.example,Di\n')
    assert [(row.line, row.reason) for row in rows if isinstance(row, BadRow)] == [
        (
            2,
            (
                "has a quotation mark that is not closed in its line, so that lines 2 to 4 are one row; close it, or"
                " take it away"
            ),
        )
    ]
    assert rows[-1] == ValidRow(2, 5, {"email": "d@a.example", "display_name": "Di"})


def test_a_cell_is_looked_through_once_for_an_address() -> None:
    """However many signs that might belong to one follow each other: the time that it takes does
    not grow with their number squared.
    """
    cell = "Ann <" + "a@" * 60_000
    rows, _ = read(f"email,cc\n{cell},\n")
    assert [row.column for row in rows if isinstance(row, BadRow)] == ["email"]


def test_escaped_cells_are_read_as_they_were() -> None:
    """A results file can be fed back: the apostrophe before a formula is undone, any other
    stays.
    """
    rows = rows_of("email,display_name\n'+1@a.example,'=Ann\no'neill@a.example,'Tis\n")
    assert rows == [
        {"email": "+1@a.example", "display_name": "=Ann"},
        {"email": "o'neill@a.example", "display_name": "'Tis"},
    ]


TEMPLATE = (
    "version:v1.0{tail}\r\n"
    "Email address to invite [inviteeEmail] Required,Redirection url [inviteRedirectURL] Required,"
    "Send invitation message (true or false) [sendEmail],Customized invitation message [customizedMessageBody]\r\n"
    '{example}ann@a.example,https://x.example,TRUE,"Hi, Ann"\r\n'
)
EXAMPLE = 'Example: chris@contoso.com,https://myapplications.microsoft.com,true,"Welcome"\r\n'


@pytest.mark.parametrize("tail", ["", ",,,"])
@pytest.mark.parametrize("example", ["", EXAMPLE])
def test_the_admin_centers_template(tail: str, example: str) -> None:
    """The bulk-invite template is read as it is; its example row is no row."""
    rows, warnings = read(TEMPLATE.format(tail=tail, example=example))
    filled = {"email": "ann@a.example", "redirect_url": "https://x.example", "send_message": True, "message": "Hi, Ann"}
    assert rows == [ValidRow(1, 4 if example else 3, filled)]
    assert warnings == ()


@pytest.mark.parametrize("path", ["guests.jsonl", "guests.csv", "Standard input"])
def test_jsonl_is_known_by_its_first_character(path: str) -> None:
    """What a file holds counts more than its name."""
    text = '\n  \n {"email": "a@a.example", "Display Name": "Ann", "sendMessage": false, "groups": ["g@a.example"]}\n\n'
    rows, _ = read(text, path)
    fields = {"email": "a@a.example", "display_name": "Ann", "send_message": False, "groups": ["g@a.example"]}
    assert rows == [ValidRow(1, 3, fields)]


def test_a_bad_json_line_costs_one_row() -> None:
    """No line of a JSONL file ends the reading, and none of its text is repeated."""
    lines = [
        '{"email": "a@a.example", "row": 4, "status": "failed", "ref": null, "Floor": 1}',
        '{"email": "b@a.example"',
        "[1]",
        '"text"',
        "[" * 5000,
        '{"email": "c@a.example", "send_message": []}',
        '{"email": "d@a.example", "E-Mail": "e@a.example"}',
        '{"email": {"a": NaN}}',
        '{"email": "z@a.example", "ref": "\\u0000"}',
    ]
    rows, warnings = read("\n".join(lines), "x.jsonl")
    assert rows[0] == ValidRow(1, 1, {"email": "a@a.example"})
    faults = [(row.number, row.line, row.column, row.reason) for row in rows if isinstance(row, BadRow)]
    assert faults == [
        (2, 2, "", "is not valid JSON"),
        (3, 3, "", "is not a JSON object"),
        (4, 4, "", "is not a JSON object"),
        (5, 5, "", "is not valid JSON at character 1026"),
        (6, 6, "send_message", "must be true or false"),
        (7, 7, "email", "is given twice"),
        (8, 8, "", "is not valid JSON at character 17"),
    ]
    assert rows[8] == ValidRow(9, 9, {"email": "z@a.example"})
    assert warnings[0] == "Ignored key: “Floor”."
    assert warnings[1].startswith(
        "“ref”: 1 cell cannot be used as ref and is left out, in line 9: contains a line break"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \n\t\r\n", "is empty"),
        (b"email\n", "headings but no rows"),
        (b"email,ref\n,\n\n", "headings but no rows"),
        (b"version:v1.0\n", "is empty"),
        (
            b"name,phone\nAnn,17\n",
            "no column called email; it has “name”, “phone”. Known columns: email, display_name",
        ),
        (b"ann@secret.example,Ann\n", "begins with an address"),
        (b"email,E-Mail\na@a.example,b@a.example\n", "two columns for email, “email”, “E-Mail”"),
        (b"email\nann\0@a.example\n", "zero bytes"),
        (b"PK\x03\x04\x14\0\0\0", "Excel workbook"),
        ("email\na@a.example\n".encode("utf-16-be"), "zero bytes"),
        (
            "email,display_name\na@a.example,Zoë\n".encode() + b"b@b.example,J\xf6rg\n",
            "not UTF-8 text in line 3, character 14 (byte 0xf6): two encodings were mixed",
        ),
        (b"email\n\x81\x8d\x8f\n", "neither UTF-8 nor Windows-1252 text in line 2, character 1 (byte 0x81); save"),
        (
            b"email,display_name\nb@b.example,J\x94rg\n",
            "read as Windows-1252 it makes no sense in line 2, character 14 (byte 0x94); save",
        ),
        (
            b'email,ref\na@a.example,"x\n',
            "a quotation mark opened in line 2 is never closed: close it there, or take it away",
        ),
        (b'"email"x,ref\na@a.example,x\n', "misplaced quotation mark in its line of headings"),
        (b'[\n{"email": "a@a.example"}\n]', "one JSON array"),
        (
            b'email,ref\na@a.example,"' + b"x" * 200_000 + b'"\n',
            "more than 131,072 characters in the row that begins in line 2; a quotation mark opened there",
        ),
    ],
)
def test_an_unusable_file_is_one_sentence(content: bytes, words: str) -> None:
    """Faults of the file as a whole say what is wrong and what to do, and repeat no address."""
    sentence = refusal(content)
    assert words in sentence
    assert "secret" not in sentence


class Endless:
    """A source that never ends; counts what was taken from it."""

    def __init__(self, start: bytes, again: bytes) -> None:
        self.taken = 0
        self._start = start
        self._again = again

    def read(self, size: int, /) -> bytes:
        start, self._start = self._start, b""
        block = (start + self._again * (size // len(self._again)))[:size]
        self.taken += len(block)
        return block


@pytest.mark.parametrize(
    ("start", "again", "words"),
    [
        (b"", b"x", "line of more than 1,000,000 bytes (line 1)"),
        (b"email\na@a.example\n", b"x", "line of more than 1,000,000 bytes (line 3)"),
        (b'{"email": "', b"x", "line of more than 1,000,000 bytes (line 1)"),
        (b'email\n"', b"x\n", "more than 131,072 characters"),
        (b'email\n"', b'x\n","', "more than 1,000,000 bytes in the row that begins in line 2"),
    ],
)
def test_a_line_or_record_without_end_is_refused_early(start: bytes, again: bytes, words: str) -> None:
    """However much is behind it, about a megabyte is read and no more."""
    source = Endless(start, again)
    with pytest.raises(InputError, match="more than") as caught:
        for _ in GuestList(source, "guests").rows():
            pass
    assert words in str(caught.value)
    assert source.taken < 2 * MAX_LINE_BYTES


def test_the_longest_line_is_still_read() -> None:
    """The limit is for the line, wherever the blocks that are read happen to end."""
    padding = "x" * (MAX_LINE_BYTES - 200)
    rows = rows_of(f'{{"email": "a@a.example"}}\n{{"email": "b@a.example", "padding": "{padding}"}}\n', "x.jsonl")
    assert [row["email"] for row in rows] == ["a@a.example", "b@a.example"]


def test_blocks_leave_no_seam() -> None:
    """Rows, line numbers and characters of several bytes survive the ends of blocks."""
    text = "email,display_name\r\n" + "".join(f"g{n}@a.example,Jörg 用户 {n}\r\n" for n in range(40_000))
    for n, row in enumerate(read(text)[0]):
        assert row == ValidRow(n + 1, n + 2, {"email": f"g{n}@a.example", "display_name": f"Jörg 用户 {n}"})


def test_a_pipe_is_read_as_it_comes() -> None:
    """A byte at a time gives the same rows, `\\r\\n` and the mark at the beginning included."""
    data = io.BytesIO("\ufeff\r\n\r\nemail,ref\r\njörg@a.example,1\r\n".encode())

    class Dripping:
        def read(self, size: int, /) -> bytes:
            return data.read(1)

    assert list(GuestList(Dripping(), "pipe").rows()) == [ValidRow(1, 4, {"email": "jörg@a.example", "ref": "1"})]


def test_standard_input_is_a_dash() -> None:
    """`-` reads what it is given and leaves it open."""
    source = io.BytesIO(b"email\na@a.example\n")
    with open_list("-", source) as guests:
        assert list(guests.records()) == [RawRecord(1, 2, {"email": "a@a.example"})]
    assert not source.closed


def test_a_path_is_opened_and_closed(tmp_path: Path) -> None:
    """A file is closed with its list; an unclosed one would be a warning, and warnings are errors
    here.
    """
    path = tmp_path / "guests.csv"
    path.write_text("email\na@a.example\n")
    with open_list(path) as guests:
        assert guests.format == "csv"
        assert sum(1 for _ in guests.rows({"send_message": False})) == 1


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    """Each is one sentence with the path in it."""
    missing = tmp_path / "missing.csv"
    with pytest.raises(InputError, match=r"missing\.csv does not exist\."):
        open_list(missing)
    with pytest.raises(InputError, match="is a directory, not a list"):
        open_list(tmp_path)
    with pytest.raises(InputError, match="not the name of a file"):
        open_list("a\0b")


def test_a_forbidden_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing permission is named as one (made up here, because root may read every file)."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"guests\.csv may not be read by this user\."):
        open_list("guests.csv")


def test_a_source_that_breaks_off() -> None:
    """A read error in the middle is a fault of the file, told once."""

    class Broken:
        def __init__(self) -> None:
            self.calls = count()

        def read(self, size: int, /) -> bytes:
            if next(self.calls) == 0:
                return b"email\na@a.example\n"
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match=r"disk cannot be read: Input/output error\."):
        list(GuestList(Broken(), "disk").rows())
