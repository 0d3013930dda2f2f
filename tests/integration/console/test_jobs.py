"""Jobs by HTTP, from the list to the results, on a real worker."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.consoles import Console
from tests.sites import Site

ADA, BOB = "ada@fabrikam.example", "bob@fabrikam.example"


async def test_rows_become_a_job_and_its_results(site: Site, console: Console) -> None:
    """JSON in, 202 with the job's address, and the outcome of each row in every form."""
    site.start_worker()
    answer = console.post(
        "/v1/jobs", json={"connection": "contoso", "rows": [{"email": ADA, "ref": "1"}, {"email": "no address"}]}
    )
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["rows"], told["to_send"], told["bad"]) == (2, 1, 1)
    assert told["errors"] == [{"field": "email", "reason": told["errors"][0]["reason"], "row": 2}]
    assert answer.headers["Location"] == f"/v1/jobs/{told['job']}"
    await site.ended(told["job"])
    shown = console.get(answer.headers["Location"]).json()
    assert (shown["state"], shown["invited"], shown["failed"]) == ("done", 1, 1)
    rows = console.get(f"/v1/jobs/{told['job']}/rows?limit=1").json()
    assert [row["status"] for row in rows["rows"]] == ["invited"]
    assert rows["next"] == 1
    rest = console.get(f"/v1/jobs/{told['job']}/rows?after=1").json()
    assert [row["error_code"] for row in rest["rows"]] == ["invalid_row"]
    assert "next" not in rest
    table = console.get(f"/v1/jobs/{told['job']}/results.csv")
    found = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["email"], row["status"]) for row in found] == [(ADA, "invited"), ("no address", "failed")]
    lines = console.get(f"/v1/jobs/{told['job']}/results.jsonl?only=invited").text.splitlines()
    assert [json.loads(line)["ref"] for line in lines] == ["1"]
    sheet = console.get(f"/v1/jobs/{told['job']}/results.xlsx")
    assert sheet.headers["Content-Disposition"] == f'attachment; filename="{told["job"]}.xlsx"'
    from openpyxl import load_workbook

    cells = list(load_workbook(io.BytesIO(sheet.content)).worksheets[0].values)
    assert cells[0][:2] == ("row", "email")
    assert cells[1][1] == ADA


LIST = "Vorname;E-Mail;Bemerkung\nJürgen;jürgen@müller.example;x\nAda;ada@fabrikam.example;y\n".encode("cp1252")


@pytest.mark.parametrize("way", ["form", "body"])
async def test_list_is_read_as_the_command_reads_it(site: Site, console: Console, way: str) -> None:
    """Semicolons, Windows-1252 and German headings are recognised; options come beside the list."""
    if way == "form":
        answer = console.post(
            "/v1/jobs",
            data={"connection": "contoso", "reason": "a fair", "send_message": "false"},
            files={"list": ("../../etc/gäste.csv", LIST, "text/csv")},
        )
    else:
        answer = console.post(
            "/v1/jobs?connection=contoso&reason=a+fair&send_message=false&name=g%C3%A4ste.csv",
            data=LIST,
            headers={"Content-Type": "text/csv"},
        )
    assert answer.status_code == 202, answer.text
    assert (answer.json()["rows"], answer.json()["bad"]) == (2, 0)
    shown = console.get(answer.headers["Location"]).json()
    assert (shown["list"], shown["reason"]) == ("gäste.csv", "a fair")
    rows = await site.results(answer.json()["job"])
    assert [row["email"] for row in rows] == ["jürgen@müller.example", ADA]
    view = await site.view(answer.json()["job"])
    assert view.options.send_message is False


async def test_excel_is_read(site: Site, console: Console) -> None:
    """A workbook is a list as any other."""
    from openpyxl import Workbook

    book, file = Workbook(), io.BytesIO()
    page = book.create_sheet("Guests", 0)
    page.append(["email", "display_name"])
    page.append([ADA, "Ada"])
    book.save(file)
    answer = console.post("/v1/jobs", data={"connection": "contoso"}, files={"list": ("a.xlsx", file.getvalue())})
    assert answer.status_code == 202, answer.text
    assert answer.json()["rows"] == 1


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"connection": "contoso", "rows": []}, 422, "rows"),
    ({"connection": "contoso", "rows": [{"email": "nobody"}]}, 422, "email"),
    ({"connection": "nowhere", "rows": [{"email": ADA}]}, 422, "connection"),
    ({"connection": "contoso", "rows": [{"email": ADA}], "colour": "red"}, 422, "colour"),
    ({"connection": "contoso", "rows": [{"email": ADA}], "operation": "groups"}, 422, "operation"),
    ({"connection": "contoso", "rows": [{"email": ADA}], "operation": "forewarn"}, 422, "operation"),
    ({"connection": "contoso", "rows": [{"email": ADA}], "operation": "disable"}, 422, "confirm"),
    ({"connection": "contoso", "rows": [{"email": ADA}, {"email": "no"}], "strict": True}, 422, "email"),
    ({"connection": "contoso", "rows": [{"email": ADA}], "redirect_url": "nowhere"}, 422, ""),
]


def test_refusal_names_the_field(console: Console) -> None:
    """What is wrong is said in a sentence and by field and row; nothing is accepted."""
    for body, status, field in REFUSED:
        answer = console.post("/v1/jobs", json=body)
        told = answer.json()
        assert answer.status_code == status, told
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "--" not in told["detail"]
        assert told["detail"].count(" was accepted") + told["detail"].count(" was sent") == 1, told
        if field:
            assert told["errors"][0]["field"] == field
    for name, text, why in (("a.csv", "%PDF-1.7 x", "is a PDF"), ("a.csv", "", "is empty. Nothing was accepted.")):
        files, data = {"list": (name, text)}, {"connection": "contoso"}
        told = console.post("/v1/jobs", data=data, files=files).json()["detail"]
        assert why in told
        assert told.endswith(" Nothing was accepted.")
    told = console.get("/v1/jobs?limit=5000").json()
    assert told["detail"] == "The request cannot be taken: limit: Must be 200 or less. Nothing was done."
    assert console.get("/v1/jobs").json() == {"jobs": []}


def test_same_key_is_the_same_job(console: Console) -> None:
    """Sent again with its Idempotency-Key a list is taken in once; another list is refused."""
    body, key = {"connection": "contoso", "rows": [{"email": ADA}]}, {"Idempotency-Key": "order-1"}
    first, again = (console.post("/v1/jobs", json=body, headers=key) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json()["job"] == again.json()["job"]
    other = console.post("/v1/jobs", json={**body, "rows": [{"email": BOB}]}, headers=key)
    assert other.status_code == 422
    assert "another list" in other.json()["detail"]
    for more in ({"operation": "disable", "confirm": True}, {"resend": True}, {"groups": ["Partners"]}):
        other = console.post("/v1/jobs", json={**body, **more}, headers=key)
        assert other.status_code == 422, other.text
        assert "another operation or other options (invite)" in other.json()["detail"]
    assert len(console.get("/v1/jobs").json()["jobs"]) == 1
    files = {"list": ("a.csv", f"email\n{ADA}\n")}
    form = {"data": {"connection": "contoso"}, "headers": {"Idempotency-Key": "order-2"}}
    one, two = (console.post("/v1/jobs", files=files, **form) for _ in range(2))
    assert one.json()["job"] == two.json()["job"]


async def test_the_answer_to_a_repeat_has_the_same_keys(site: Site, console: Console) -> None:
    """A client that lost the first answer learns which rows were refused at once, of rows and of a
    file, and also when the job has ended.
    """
    site.start_worker()
    rows = [{"email": ADA}, {"email": "no address"}, {"email": ADA}, {"email": BOB, "language": "??"}]
    body, headers = {"connection": "contoso", "rows": rows}, {"Idempotency-Key": "lost"}
    first = console.post("/v1/jobs", json=body, headers=headers).json()
    assert (first["to_send"], first["bad"], [fault["row"] for fault in first["errors"]]) == (1, 2, [2, 4])
    again = console.post("/v1/jobs", json=body, headers=headers).json()
    await site.ended(first["job"])
    ended = console.post("/v1/jobs", json=body, headers=headers).json()
    for told in (again, ended):
        assert list(told) == list(first)
        assert {**told, "state": "", "warnings": []} == {**first, "state": "", "warnings": []}
    form: dict[str, Any] = {"data": {"connection": "contoso"}, "headers": {"Idempotency-Key": "lost-file"}}
    files = {"list": ("a.csv", f"email\n{BOB}\nnobody\n")}
    one, two = (console.post("/v1/jobs", files=files, **form) for _ in range(2))
    assert one.json()["errors"] == two.json()["errors"] != []
    assert one.json()["errors"][0]["line"] == 3


def test_a_program_is_warned_as_the_command_is(console: Console) -> None:
    """Of what a person reads before the question; in words of the API, and by a dry run too."""
    row = {"email": ADA, "expires": "2020-01-01", "message": "hi", "user_type": "Member"}
    body = {"connection": "contoso", "rows": [row]}
    risks = console.post("/v1/dry-runs", json=body).json()["plan"]["risks"]
    told = console.post("/v1/jobs", json=body).json()["warnings"]
    for words in ("1 row with an `expires` that is past", "1 row asks for a member", "1 row with a message of its own"):
        assert [any(words in one for one in said) for said in (risks, told)] == [True, True], words
    assert not any("--" in one for one in (*risks, *told))


def test_jobs_are_listed_page_by_page(console: Console) -> None:
    """The newest come first, and a cursor goes on where the page before ended, whatever comes in
    between.
    """
    jobs = [console.submit([f"g{n}@fabrikam.example"]) for n in range(5)]
    page = console.get("/v1/jobs?limit=2").json()
    assert [one["job"] for one in page["jobs"]] == jobs[:-3:-1]
    console.submit(["late@fabrikam.example"])
    rest = console.get("/v1/jobs", params={"limit": 3, "cursor": page["next"]}).json()
    assert [one["job"] for one in rest["jobs"]] == jobs[2::-1]


def test_job_that_has_not_changed_is_not_sent_again(console: Console) -> None:
    """Its ETag is the answer to who asks often."""
    job = console.submit([ADA])
    first = console.get(f"/v1/jobs/{job}")
    again = console.get(f"/v1/jobs/{job}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    console.post(f"/v1/jobs/{job}/pause")
    changed = console.get(f"/v1/jobs/{job}", headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.json()["state"]) == (200, "paused")


async def test_job_is_moved(site: Site, console: Console) -> None:
    """Paused, resumed, cancelled; what cannot be is a sentence."""
    job = console.submit([ADA])
    assert console.post(f"/v1/jobs/{job}/pause").json()["state"] == "paused"
    assert console.post(f"/v1/jobs/{job}/resume").json()["state"] == "running"
    assert console.post(f"/v1/jobs/{job}/cancel").json()["cancelled"] == 1
    refused = console.post(f"/v1/jobs/{job}/resume")
    assert refused.status_code == 409
    assert "was cancelled" in refused.json()["detail"]
    assert console.post("/v1/jobs/aaaaaaaaaa/pause").status_code == 404
    assert console.post("/v1/jobs/..%2F..%2Fetc/pause").status_code in (404, 422)


async def test_what_failed_is_tried_again(site: Site, console: Console) -> None:
    """A retry is a job of its own, of the rows that failed alone."""
    site.start_worker()
    site.sandbox.ask("policy", {"denied_domains": ["fabrikam.example"]})
    job = console.submit([ADA, "eve@other.example"])
    await site.ended(job)
    site.sandbox.ask("policy", {"denied_domains": []})
    answer = console.post(f"/v1/jobs/{job}/retry")
    assert answer.status_code == 202, answer.text
    assert answer.json()["rows"] == 1
    await site.ended(answer.json()["job"])
    assert console.get(answer.headers["Location"]).json()["invited"] == 1
    assert console.post(f"/v1/jobs/{answer.json()['job']}/retry").status_code == 409


async def test_what_takes_away_is_confirmed(site: Site, console: Console) -> None:
    """A guest is disabled only where somebody said so, and so is a second try."""
    site.start_worker()
    await site.ended(console.submit([ADA]))
    order = {"connection": "contoso", "operation": "disable", "rows": [{"email": ADA}, {"email": BOB}]}
    assert console.post("/v1/dry-runs", json=order).json()["foreseen"][0]["would"] == "disable"
    assert console.post("/v1/jobs", json=order).status_code == 422
    answer = console.post("/v1/jobs", json={**order, "confirm": True})
    assert answer.status_code == 202, answer.text
    await site.ended(answer.json()["job"])
    shown = console.get(answer.headers["Location"]).json()
    assert (shown["operation"], shown["done"], "invited" in shown) == ("disable", 1, False)
    assert console.post(f"/v1/jobs/{answer.json()['job']}/retry").status_code in (409, 422)
