"""The OpenAPI document says what the server does: a tool that tries to prove the contrary finds
nothing, and a client that another tool makes from the document works.
"""

from __future__ import annotations

import asyncio
import compileall
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.consoles import Console, run_console
from tests.processes import plain_environment
from tests.sandboxes import connection_table
from tests.sites import Site

_PROGRAMS = Path(sys.executable).parent

_RULES = """\
[checks]
# Which addresses can be mailed, and which key belongs to which list, no schema can say.
positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 422, "5xx"]
"""


_CHOICES = ["contoso", "contoso,adatum", "all", "tag:eu"]
_SEVERAL = {"type": "array", "items": {"type": "string", "enum": ["contoso", "adatum", "tag:eu"]}}


def _put_in(document: dict[str, Any], job: str, submission: str) -> dict[str, Any]:
    """Return the document with what there is on the site: names that are guessed reach no logic."""
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)  # this server asks nobody to sign in
            for parameter in operation.get("parameters", ()):
                match parameter["name"]:
                    case "job":
                        parameter["schema"] = {"type": "string", "enum": [job]}
                    case "submission":
                        parameter["schema"] = {"type": "string", "enum": [submission]}
                    case "name" if parameter["in"] == "path":
                        parameter["schema"] = {"type": "string", "enum": ["contoso"]}
                    case "connection":
                        parameter["schema"] = {"type": "string", "enum": _CHOICES}
                    case "connections":
                        parameter["schema"] = _SEVERAL
    for name in ("RowsOrder", "FileOrder"):
        properties = document["components"]["schemas"][name]["properties"]
        properties |= {"connection": {"type": "string", "enum": _CHOICES}, "connections": _SEVERAL}
    return document


async def _find_faults(site: Site, console: Console, seconds: int, *options: str) -> str:
    """Have the server tried; returns what was found, '' for nothing."""
    site.start_worker()
    body = {"connections": ["contoso"], "rows": [{"email": "ada@fabrikam.example"}]}
    told = console.post("/v1/jobs", json=body).json()
    job = told["jobs"][0]["job"]
    await site.ended(job)  # else a stream of its events has no end
    document = _put_in(console.get("/v1/openapi.json").json(), job, told["submission"])
    (site.folder / "openapi.json").write_text(json.dumps(document))
    (site.folder / "schemathesis.toml").write_text(_RULES)
    where = ("openapi.json", "--url", console.url, "--no-color", "--warnings", "off")
    pace = ("--max-time", str(seconds), "--request-timeout", "10", "--rate-limit", "80/s")
    done = await _run(site.folder, _PROGRAMS / "schemathesis", "run", *where, *pace, *options)
    return "" if done.returncode == 0 else done.stdout + done.stderr


async def _run(folder: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        argv,
        cwd=folder,
        env=plain_environment(PYTHONPATH=str(folder)),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def console(site: Site) -> Iterator[Console]:
    """A server with two connections, one of which has a tag."""
    with (site.folder / "usher.toml").open("a") as file:
        file.write(connection_table("adatum", site.sandbox.ready, tags='["eu"]'))
    with run_console(site) as console:
        yield console


async def test_server_keeps_to_its_document(site: Site, console: Console) -> None:
    """Schemathesis finds nothing: no answer that the document does not name, and no fault of the
    server's.
    """
    options = ("--generation-deterministic", "--phases", "coverage,fuzzing", "-n", "3")
    assert await _find_faults(site, console, 10, *options) == ""


@pytest.mark.long
async def test_server_keeps_to_its_document_for_long(site: Site, console: Console) -> None:
    """The same for minutes, every time with other requests."""
    assert await _find_faults(site, console, 180, "-n", "200") == ""


_USE = """
import sys
from client import Client
from client.api.jobs import list_jobs, show_job, submit_job
from client.api.rows import read_rows
from client.models import FileOrder, RowsOrder, RowsOrderRowsItem
from client.types import File

api = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)
rows = [RowsOrderRowsItem(email="ada@fabrikam.example", ref="1")]
told = submit_job.sync(client=api, body=RowsOrder(connection="contoso", rows=rows), idempotency_key="one")
again = submit_job.sync(client=api, body=RowsOrder(connection="contoso", rows=rows), idempotency_key="one")
assert told.job == again.job, (told, again)
shown = show_job.sync(told.job, client=api)
assert (shown.rows, shown.list_) == (1, "1 row by HTTP"), shown
assert [job.job for job in list_jobs.sync(client=api).jobs] == [told.job]
assert read_rows.sync(told.job, client=api).rows[0].ref == "1"
problem = submit_job.sync(client=api, body=RowsOrder(connection="nowhere", rows=rows))
assert problem.status == 422, problem
with open("list.csv", "rb") as payload:
    order = FileOrder(connection="contoso", list_=File(payload=payload, file_name="list.csv"))
    sent = submit_job.sync(client=api, body=order)
assert sent.rows == 2, sent
from client.api.submissions import show_submission
through = submit_job.sync(client=api, body=RowsOrder(connections=["contoso", "adatum"], rows=rows))
assert [one.connection for one in through.jobs] == ["adatum", "contoso"], through
assert show_submission.sync(through.submission, client=api).jobs[0].submission == through.submission
print("well")
"""


async def test_client_that_is_made_from_the_document_works(site: Site, console: Console) -> None:
    """It compiles, submits rows and a list, and reads jobs, rows and problems as types."""
    (site.folder / "openapi.json").write_text(console.get("/v1/openapi.json").text)
    how = ("generate", "--path", "openapi.json", "--output-path", "client", "--meta", "none")
    made = await _run(site.folder, _PROGRAMS / "openapi-python-client", *how)
    assert made.returncode == 0, made.stdout + made.stderr
    assert compileall.compile_dir(site.folder / "client", quiet=2)
    (site.folder / "list.csv").write_text("email\nada@fabrikam.example\nbob@fabrikam.example\n")
    (site.folder / "use.py").write_text(_USE)
    used = await _run(site.folder, sys.executable, "use.py", console.url)
    assert used.stdout == "well\n", used.stderr


def test_document_leaves_pages_out(console: Console) -> None:
    """It is of the API alone, and names no type that it does not hold."""
    text = console.get("/v1/openapi.json").text
    document = json.loads(text)
    assert all(path.startswith("/v1/") for path in document["paths"])
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= document["components"]["schemas"].keys()
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
