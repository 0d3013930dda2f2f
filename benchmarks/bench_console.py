"""What `usher serve` needs: how soon a list of 100,000 rows is answered, by HTTP and by its pages,
and with how much memory, how large results are streamed, and what 200 open streams of events cost.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.bench_enqueue import write_list
from benchmarks.stage import Stage, cpu_s_of, describe_machine, enqueue, open_stage

ROWS = int(os.environ.get("USHER_BENCH_CONSOLE", "100000"))
STREAMS = 200
_WATCHED_S = 20.0
_READY = re.compile(r"usher is at (http://\S+) ")


def main() -> dict[str, Any]:
    """Print the figures."""
    print(describe_machine())
    found = measure()
    for name, value in found.items():
        print(f"{name:28}{value:14,.3f}")
    return found


def measure() -> dict[str, Any]:
    """Submit, download and watch; returns the figures."""
    with open_stage(quota=True) as stage:
        path = stage.folder / "guests.csv"
        write_list(path, ROWS)
        with _served(stage) as (url, pid):
            used_s = cpu_s_of(pid)
            found = asyncio.run(_submit(url, path))
            found["first_answer_cpu_s"] = cpu_s_of(pid) - used_s
            found["peak_rss_mb"] = _peak_mb(pid)
            found |= asyncio.run(_download(url, found.pop("job")))
            found["peak_rss_mb_with_results"] = _peak_mb(pid)
            found |= asyncio.run(_drop(url, path))
            found["peak_rss_mb_with_pages"] = _peak_mb(pid)
        jobs = [asyncio.run(enqueue(stage, stage.connections[0], 3_000)) for _ in range(2)]
        stage.start_worker()
        with _served(stage) as (url, pid):
            found |= asyncio.run(_watch(url, pid, jobs))
    return {"rows": ROWS, **found}


@contextmanager
def _served(stage: Stage) -> Iterator[tuple[str, int]]:
    """Serve on the stage; yields the address and the process."""
    log = stage.folder / "serve.log"
    log.write_text("")
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", "--port", "0"], env=stage.env, stdout=output, stderr=output
        )
    try:
        until_s = time.monotonic() + 30
        while not (told := _READY.search(log.read_text())):
            if time.monotonic() > until_s or process.poll() is not None:
                raise RuntimeError(f"the server did not start: {log.read_text()}")
            time.sleep(0.05)
        yield told[1], process.pid
    finally:
        process.terminate()
        process.wait(30)


def _peak_mb(pid: int) -> float:
    """Return the most memory that a process has had."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


async def _submit(url: str, path: Path) -> dict[str, Any]:
    async with aiohttp.ClientSession(url) as session:
        query = {"connection": "t0"}
        began = time.monotonic()
        with path.open("rb") as body:
            async with session.post("/v1/jobs", params=query, data=body, headers={"Content-Type": "text/csv"}) as told:
                answer = await told.json()
                if told.status != 202:
                    raise RuntimeError(f"the list was not taken: {answer}")
        return {"job": answer["job"], "first_answer_s": time.monotonic() - began}


async def _drop(url: str, path: Path) -> dict[str, Any]:
    """Drop the list on the page, up to how it is read, and look at it, up to the first that is seen
    of it.
    """
    jar = aiohttp.CookieJar(unsafe=True)  # for an address without a name
    async with aiohttp.ClientSession(url, headers={"Origin": url.rstrip("/")}, cookie_jar=jar) as session:
        page = await (await session.get("/invite")).text()
        token = page.split('name="csrf_token" value="')[1].partition('"')[0]
        form = aiohttp.FormData({"csrf_token": token})
        with path.open("rb") as body:
            form.add_field("list", body, filename="guests.csv")
            began = time.monotonic()
            shown = await session.post("/invite", data=form)
            await shown.read()
        preview_s = time.monotonic() - began
        given = {"csrf_token": token, "read": "{}", "connection": "t0"}
        began = time.monotonic()
        looked = await session.post(f"{shown.url.path}/look", data=given)
        await looked.read()
        if (shown.status, looked.status) != (200, 200) or not looked.url.path.endswith("/look"):
            raise RuntimeError(f"the page answered {shown.status} and {looked.status}")
        return {"page_preview_s": preview_s, "page_look_s": time.monotonic() - began}


async def _download(url: str, job: str) -> dict[str, Any]:
    found = {}
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(600)) as session:
        for form in ("csv", "jsonl", "xlsx"):
            began = time.monotonic()
            async with session.get(f"/v1/jobs/{job}/results.{form}") as answer:
                size = 0
                async for block in answer.content.iter_any():
                    size += len(block)
            found[f"results_{form}_s"] = time.monotonic() - began
            found[f"results_{form}_mb"] = size / (1 << 20)
    return found


async def _watch(url: str, pid: int, jobs: list[str]) -> dict[str, Any]:
    """Watch jobs that run by many streams; returns what that costs the server."""
    events = 0

    async def follow(session: aiohttp.ClientSession, job: str) -> None:
        nonlocal events
        async with session.get(f"/v1/jobs/{job}/events") as answer:
            async for line in answer.content:
                events += line.startswith(b"event: job")

    connector = aiohttp.TCPConnector(limit=STREAMS)
    async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
        following = [asyncio.create_task(follow(session, jobs[n % len(jobs)])) for n in range(STREAMS)]
        await asyncio.sleep(3)
        used_s, began = cpu_s_of(pid), time.monotonic()
        before = events
        await asyncio.sleep(_WATCHED_S)
        cores = (cpu_s_of(pid) - used_s) / (time.monotonic() - began)
        told = events - before
        for one in following:
            one.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    return {"streams": STREAMS, "streams_cores": cores, "streams_events": told, "streams_rss_mb": _peak_mb(pid)}


if __name__ == "__main__":
    main()
