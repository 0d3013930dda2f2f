"""docs/http.md is tried as it stands: its curl lines and its Python."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from tests.consoles import Console
from tests.needs import need
from tests.processes import plain_environment
from tests.sites import Site

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "http.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


async def _run(site: Site, argv: tuple[str, ...], job: str = "") -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        argv,
        cwd=site.folder,
        env=plain_environment(JOB=job),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _here(text: str, console: Console) -> str:
    """Return what the page shows, for this server and its connection."""
    return text.replace("http://127.0.0.1:8080", console.url).replace("sandbox", "contoso")


async def test_python_of_the_page_runs(site: Site, console: Console) -> None:
    """It submits a file, waits for the end and reads the outcomes."""
    site.start_worker()
    (site.folder / "guests.csv").write_text("email\nann@fabrikam.example\n")
    [program] = _blocks("python")
    lines = [line for line in _here(program, console).splitlines() if "Authorization" not in line]
    told = await _run(site, (sys.executable, "-c", "\n".join(lines)))
    assert told == "{'ann@fabrikam.example': 'invited'}\n"


async def test_curl_lines_of_the_page_run(site: Site, console: Console) -> None:
    """Each is answered as the page says."""
    need("curl")
    site.start_worker()
    (site.folder / "guests.csv").write_text("email\nann@fabrikam.example\n")
    first, files, after, several, of_several = (_here(block, console) for block in _blocks("bash"))
    job = re.search(r'"job":"(\w+)"', await _run(site, ("sh", "-c", first.replace(', "groups": ["Partners"]', ""))))
    assert job
    assert (await _run(site, ("sh", "-c", files))).count('"job":') == 2
    await site.ended(job[1])
    told = await _run(site, ("sh", "-c", after), job[1])
    assert "event: end" in told
    assert (site.folder / "results.csv").read_text().count("ann@fabrikam.example") == 1
    told = await _run(site, ("sh", "-c", several.replace("=tag:eu -F connections=cronus", "=all")))
    submission = re.search(r'"submission":"(s-\w+)"', told)
    assert submission
    told = await _run(site, ("sh", "-c", of_several.replace("$SUBMISSION", submission[1])))
    assert (told.count("event: end"), told.count('"state":"done"') > 1) == (1, True)
    assert (site.folder / "results.csv").read_text().startswith("connection,")
