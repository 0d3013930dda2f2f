"""Lists that somebody made to stop usher: each made anew from its number, read in a process of its
own, with what that cost.

python -m tests.lists.hostile 0 2000
"""

from __future__ import annotations

import io
import json
import os
import random
import string
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tasks.errors import InputError
from tasks.lists.guest_list import GuestList
from tests.lists.exports import ANN, replaced, sheet

SHEET = "xl/worksheets/sheet1.xml"
_SIGNS = "\"',;|\t \n\r=+-@<>[]{}\\:'\u00a0\u200b\ufdfa\u0301é日\x1b\x9b"
_WORDS = (
    "email",
    "mail",
    "private",
    "privat",
    "E-Mail geschäftlich",
    "Name",
    "status",
    "x",
    "secondary",
    "メール",
    ANN,
    "a@",
    "mailto:",
    "'=",
)


def make(number: int) -> tuple[str, bytes]:
    """Return one list: what it is, and its bytes."""
    chance = random.Random(number)
    kind = _KINDS[number % len(_KINDS)]
    return kind.__name__.strip("_"), kind(chance)


def measure(number: int) -> dict[str, object]:
    """Read a list; return what it came to, in seconds of the processor and megabytes beyond what
    was there before.
    """
    name, data = _KINDS[number % len(_KINDS)].__name__, _elsewhere(lambda: make(number)[1])
    before, start_s = _forget_peak(), time.process_time()
    try:
        with ExitStack() as closing:
            guests = GuestList(io.BytesIO(data), "list", closing=closing)
            answer = f"{sum(1 for _ in guests.rows())} rows"
            guests.describe(with_sample=True)
    except InputError as error:
        answer = str(error)
    seconds = time.process_time() - start_s
    told = {"number": number, "kind": name.strip("_"), "workbook": data.startswith(b"PK"), "kilobytes": len(data) >> 10}
    return told | {"answer": answer[:300], "seconds": round(seconds, 2), "megabytes": round(_peak() - before, 1)}


def _elsewhere(work: Callable[[], bytes]) -> bytes:
    """Have a process of its own do something, so that this one keeps none of the memory that it
    took; return what it gives.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(theirs, "wb") as pipe:
                pipe.write(work())
            status = 0
        finally:
            os._exit(status)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        given = pipe.read()
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("a list ended the process that read it")
    return given


def _size(chance: random.Random, most: int) -> int:
    return int(10 ** chance.uniform(1, len(str(most)) - 1))


def _signs(chance: random.Random, count: int) -> str:
    alphabet = "".join(chance.sample(_SIGNS + string.ascii_letters, chance.randint(1, 12)))
    return "".join(chance.choices(alphabet, k=count))


def _wide(chance: random.Random) -> bytes:
    word, glue = chance.choice(_WORDS), chance.choice(",;\t|")
    headings = [word if chance.random() < 0.9 else f"{word}{n}" for n in range(_size(chance, 1_000_000) // 4)]
    return (glue.join(headings)[:990_000] + "\n" + glue * len(headings) + ANN + "\n").encode()


def _numbered_headings(chance: random.Random) -> bytes:
    count = _size(chance, 1_000_000) // 8
    headings = ",".join(f"f{n}" for n in range(count))
    return f"{headings},{chance.choice(_WORDS)}\n{f'{ANN},' * min(count, 40_000)}\n".encode()


def _repeated_words(chance: random.Random) -> bytes:
    heading = chance.choice(_WORDS) * chance.randint(1, 2_000) + chance.choice(_WORDS)
    return "\n".join([",".join([heading] * chance.randint(1, 50)), "email", ANN]).encode()


def _soup(chance: random.Random) -> bytes:
    text = _signs(chance, _size(chance, 10_000_000) // 3)
    return (chance.choice(("email,name\n", "", "Name;Kontakt\n", "{")) + text).encode(
        chance.choice(("utf-8", "utf-16", "utf-8-sig"))
    )


def _pieces(chance: random.Random) -> bytes:
    pieces = [_signs(chance, 6), *chance.sample(_WORDS, 5), "\n"]
    return ("email,name,ref\n" + "".join(chance.choices(pieces, k=_size(chance, 1_000_000) // 3))).encode()


def _bytes(chance: random.Random) -> bytes:
    start = chance.choice((b"", b"email\n", b"PK\x03\x04", b"\xff\xfe", b"\xef\xbb\xbf", b"email,name\nJ\xf6rg,"))
    return start + chance.randbytes(_size(chance, 1_000_000)).replace(b"\0", chance.choice((b"\0", b"x")))


def _quotes(chance: random.Random) -> bytes:
    piece = chance.choice(('"', '""', '"a"b",c\n', '"a",\n"', '" ,"', '\n"x",'))
    return b"email,name\n" + (piece * (_size(chance, 1_000_000) // len(piece))).encode()


def _empty_lines(chance: random.Random) -> bytes:
    line = chance.choice((b"\n", b"\r", b",,,\n", b";" * 1_000 + b"\n", b" \n"))
    return chance.choice((b"", b"email\n")) + line * (_size(chance, 10_000_000) // len(line)) + ANN.encode()


def _long_cell(chance: random.Random) -> bytes:
    piece = chance.choice(("a@", "<", "mailto:", "'", ";'", "' =", "ä", "\ufdfa", "a.", "xn--", "\u200b", ANN + ";"))
    cell = piece * (_size(chance, 1_000_000) // len(piece.encode()))
    cell = chance.choice(("a@", "", "Ann <")) + cell + chance.choice((".example", "", ">"))
    return (
        chance.choice(("email,name,cc,groups\n", "a,b,c,d\n")) + ",".join([cell.replace(",", "")[:200_000]] * 4) + "\n"
    ).encode()


def _many_rows(chance: random.Random) -> bytes:
    row = chance.choice((f"{ANN},-", f"-,{ANN}", f"{ANN},a,b,c", "x,y", f'"{ANN}", "x"', f"=,{ANN}"))
    return ("email,language\n" + f"{row}\n" * (_size(chance, 1_000_000) // 4)).encode()


def _keys(chance: random.Random) -> bytes:
    word = chance.choice(_WORDS)
    line = json.dumps({f"{word}{n}": n for n in range(_size(chance, 100_000))} | {"email": ANN})
    return (line[: chance.choice((999_000, len(line) - 1))] + "\n").encode() * chance.randint(1, 3)


def _nested(chance: random.Random) -> bytes:
    piece = chance.choice(("[", '{"a":', '{"email":[', '"\\u0000', "1e9", '{"email":"a@a.example","cc":['))
    return ("{" + '"x":' + piece * (_size(chance, 1_000_000) // len(piece)) + "\n").encode() * chance.randint(1, 3)


def _bomb_in_a_sheet(chance: random.Random) -> bytes:
    piece = chance.choice(
        (
            b"<c/>",
            b'<c r="A3"/>',
            b'<c r="XFD3"/>',
            b"<c><v>1</v></c>",
            b"<a>",
            b"<!-- x -->",
            b"&amp;",
            b"<c><f>1</f></c>",
            b"x",
            b"<row/>",
        )
    )
    start, end = chance.choice(
        (
            (b'<row r="3">', b"</row>"),
            (b'<row r="3"><c t="str"><v>', b"</v></c></row>"),
            (b"<!--", b"-->"),
            (b'<row x="', b'"/>'),
            (b"", b""),
        )
    )
    inside = start + piece * (_size(chance, 100_000_000) // len(piece)) + end
    return _packed(
        chance, _workbook(chance), SHEET, lambda data: data.replace(b"</sheetData>", inside + b"</sheetData>")
    )


def _other_ends_of_a_sheet(chance: random.Random) -> bytes:
    piece = chance.choice(
        (
            b'<mergeCell ref="A1:B9"/>',
            b'<row r="%d" hidden="1"><c><v>1</v></c></row>',
            b'<a%d b%d="1"/>',
            b'<a xmlns:x%d="y"/>',
            b'<row r="%d"/>',
            b'<row r="%d0"><c><v>1</v></c></row>',
        )
    )
    count = _size(chance, 1_000_000)
    inside = b"".join(piece.replace(b"%d", b"%d" % n) for n in range(3, count))
    return _packed(
        chance, _workbook(chance), SHEET, lambda data: data.replace(b"</sheetData>", inside + b"</sheetData>")
    )


def _other_parts(chance: random.Random) -> bytes:
    part, before, piece = chance.choice(
        (
            ("xl/styles.xml", b"</styleSheet>", b"<xf/>"),
            ("xl/styles.xml", b"<cellXfs", b'<numFmt numFmtId="9" formatCode="' + b"y" * 99 + b'"/>'),
            ("xl/workbook.xml", b"</sheets>", b'<sheet name="s" sheetId="1" id="rId1"/>'),
            ("xl/_rels/workbook.xml.rels", b"</Relationships>", b'<Relationship Id="a" Type="b" Target="c"/>'),
            ("[Content_Types].xml", b"</Types>", b"<Default/>"),
            ("docProps/core.xml", b"</", b"<x>y</x>"),
        )
    )
    inside = piece * (_size(chance, 100_000_000) // len(piece))
    return _packed(chance, _workbook(chance), part, lambda data: data.replace(before, inside + before, 1))


def _shared_texts(chance: random.Random) -> bytes:
    text = b"x" * chance.choice((0, 1, 20, 32_767, 40_000, 10_000_000))
    piece = b"<si><t>" + text + b"</t></si>"
    table = b"<sst>" + piece * max(1, _size(chance, 100_000_000) // len(piece)) + b"</sst>"
    link = b'<Relationship Id="s" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    data = replaced(_workbook(chance), "xl/_rels/workbook.xml.rels", lambda old: old.replace(b"</Relationships>", link))
    data = replaced(
        data, SHEET, lambda old: old.replace(b"</sheetData>", b'<row r="3"><c t="s"><v>0</v></c></row></sheetData>')
    )
    return _packed(chance, data, "", bytes, {"xl/sharedStrings.xml": table})


def _zips(chance: random.Random) -> bytes:
    return _packed(chance, _workbook(chance), "", bytes, {f"xl/{n}": b"" for n in range(_size(chance, 10_000))})


def _damaged(chance: random.Random) -> bytes:
    data = bytearray(_workbook(chance))
    for _ in range(chance.randint(1, 20)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def _workbook(chance: random.Random) -> bytes:
    return sheet([chance.choices(_WORDS, k=3), ["email", "name"], [ANN, "Ann"]])


def _packed(
    chance: random.Random,
    data: bytes,
    part: str,
    change: Callable[[bytes], bytes],
    more: dict[str, bytes] | None = None,
) -> bytes:
    """Pack a workbook anew with one part changed: tightly, or so loosely that no bound on packing
    finds it.
    """
    file, packing = (
        io.BytesIO(),
        chance.choice([zipfile.ZIP_STORED] + [zipfile.ZIP_DEFLATED] * 8 + [zipfile.ZIP_LZMA]),
    )
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", packing, compresslevel=1) as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info.filename, change(content) if info.filename == part else content)
        for name, content in (more or {}).items():
            new.writestr(name, content)
    return file.getvalue()


def _forget_peak() -> float:
    """Have the kernel forget how much this process needed at most; return what it needs now, in
    megabytes.
    """
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


_KINDS = (
    _wide,
    _numbered_headings,
    _repeated_words,
    _soup,
    _pieces,
    _bytes,
    _quotes,
    _empty_lines,
    _long_cell,
    _many_rows,
    _keys,
    _nested,
    _bomb_in_a_sheet,
    _other_ends_of_a_sheet,
    _other_parts,
    _shared_texts,
    _zips,
    _damaged,
    _bomb_in_a_sheet,
    _bytes,
)


if __name__ == "__main__":
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        print(_elsewhere(lambda number=number: json.dumps(measure(number)).encode()).decode(), flush=True)  # type: ignore[misc]
