"""What somebody with bad intent, or a broken program, sends."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import socket
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.consoles import Console
from tests.lists.hostile import make
from tests.sites import Site

ADA = "ada@fabrikam.example"


def _memory_mb(console: Console) -> float:
    """Return the most memory that any process of the test's server has had."""
    found = 0.0
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(console.log.parent).encode() not in path.read_bytes():
                continue
            status = (path.parent / "status").read_text()
        except OSError:
            continue
        if b"serve" in (path.parent / "cmdline").read_bytes():
            found = max(found, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    return found


def _send_raw(console: Console, raw: bytes) -> bytes:
    """Send bytes as they are; return the beginning of what is answered."""
    where = urlsplit(console.url)
    with socket.create_connection((where.hostname, where.port), 20) as wire:
        wire.sendall(raw)
        return wire.recv(4096)


def test_body_that_is_too_large_is_refused_at_its_length(console: Console) -> None:
    """Nothing of it is read: the answer comes before the body."""
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\nContent-Length: 9999999999\r\n\r\n"
    answer = _send_raw(console, head.replace(b"127.0.0.1", urlsplit(console.url).netloc.encode()))
    assert answer.startswith(b"HTTP/1.1 413"), answer


def test_json_that_is_too_large_is_refused(console: Console) -> None:
    """It is held in memory, so it has a limit of its own; the sentence says how a longer list
    comes.
    """
    answer = console.post("/v1/jobs", data=b"[" * (11 << 20), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert "as a file" in answer.json()["detail"]


UNREADABLE = [
    (b"{", "application/json", 400),
    (b"[]", "application/json", 422),
    (b'{"connection": "contoso", "rows": [{"email": "\\ud800@x.example"}]}', "application/json", 400),
    (b'{"connection": "contoso\\n", "rows": [{"email": "a@x.example"}]}', "application/json", 422),
    (b"\xff\xfe\x00", "application/json", 400),
    (b"--x\r\nbroken", "multipart/form-data; boundary=x", 422),
    (b"nothing", "multipart/form-data", 400),
    (b"email\na@x.example", "application/pdf", 415),
    (b"", "text/csv", 422),
    (b"<html></html>", "text/csv", 422),
    (os.urandom(5000), "application/octet-stream", 422),
    (b"[" * 100_000, "application/json", 400),
]


def test_what_cannot_be_read_is_a_sentence(console: Console) -> None:
    """Never a fault of the server's, and nothing is accepted."""
    for body, kind, status in UNREADABLE:
        answer = console.post("/v1/jobs?connection=contoso", data=body, headers={"Content-Type": kind})
        assert answer.status_code == status, (body[:40], answer.text)
        assert answer.json()["detail"].endswith(".")
    assert console.get("/v1/jobs").json()["jobs"] == []


def test_hostile_lists_are_refused_or_read(console: Console) -> None:
    """Bombs, endless cells, broken workbooks: the server goes on, with little memory."""
    for number in range(24):
        name, body = make(number)
        answer = console.post("/v1/jobs", data={"connection": "contoso"}, files={"list": (name, body)})
        assert answer.status_code in (202, 409, 422), answer.text
        assert console.get("/healthz").status_code == 200
    assert _memory_mb(console) < 300


def test_zip_bomb_is_refused(console: Console) -> None:
    """A workbook that says it is larger than a workbook may be is not unpacked."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for _ in range(300):
                sheet.write(bytes(1 << 20))
    answer = console.post("/v1/jobs", data={"connection": "contoso"}, files={"list": ("b.xlsx", file.getvalue())})
    assert answer.status_code == 422, answer.text
    assert _memory_mb(console) < 250


EVIL = 'x"\r\nX-Evil: 1\r\n\x1b[2J/../../etc/passwd.csv'


def test_names_and_headers_carry_nothing_over(site: Site, console: Console) -> None:
    """A file's name is a word that is shown: no path, no header, no escape of a terminal."""
    body = {"connection": "contoso", "name": EVIL, "rows": [{"email": ADA}]}
    answer = console.post("/v1/jobs", json=body)
    job = answer.json()["job"]
    assert console.get(f"/v1/jobs/{job}").json()["list"] == "passwd.csv"
    for form in ("csv", "jsonl", "xlsx"):
        found = console.get(f"/v1/jobs/{job}/results.{form}")
        assert "X-Evil" not in found.headers
        assert found.headers["Content-Disposition"] == f'attachment; filename="{job}.{form}"'
    log = console.log.read_text()
    assert "\x1b[2J" not in log
    assert ADA not in log


def test_request_that_is_smuggled_is_none(console: Console) -> None:
    """Two lengths, or a length and chunks, are no HTTP."""
    host = urlsplit(console.url).netloc.encode()
    start = b"POST /v1/jobs HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 5\r\n"
    assert _send_raw(console, start + b"Content-Length: 6\r\n\r\nhello").startswith(b"HTTP/1.1 400")
    answer = _send_raw(console, b"GET /v1/jobs\x00 HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer


async def test_formulas_of_a_list_are_text_in_its_results(site: Site, console: Console) -> None:
    """Whatever a spreadsheet would run comes back escaped."""
    rows = [{"email": ADA, "display_name": "=cmd|' /C calc'!A0", "ref": "@SUM(1)"}]
    job = console.post("/v1/jobs", json={"connection": "contoso", "rows": rows}).json()["job"]
    row = next(csv.DictReader(io.StringIO(console.get(f"/v1/jobs/{job}/results.csv").text)))
    assert not row["display_name"].startswith("=")
    assert not row["ref"].startswith("@")
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(console.get(f"/v1/jobs/{job}/results.xlsx").content))
    assert not [cell for line in book.worksheets[0].iter_rows() for cell in line if cell.data_type == "f"]


def test_problems_repeat_nothing_of_what_was_sent(console: Console) -> None:
    """An address in the wrong field does not come back, where a log may keep it."""
    secret = f"secret{random.randrange(10**9)}@fabrikam.example"  # not in the source, so not in a traceback
    bodies = [
        {"connection": secret, "rows": [{"email": ADA}]},
        {"connection": "contoso", "rows": [{"email": ADA, "expires": secret}]},
        {"connection": "contoso", "rows": secret},
        {"connection": "contoso", "rows": [{"email": ADA}], "pilot": secret},
    ]
    for body in bodies:
        answer = console.post("/v1/jobs", json=body)
        assert answer.status_code == 422, answer.text
        assert secret not in json.dumps(answer.json())
    assert secret not in console.log.read_text()
