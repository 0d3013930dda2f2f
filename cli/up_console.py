"""`usher up --console`: the console is served beside the stack, and shown on a desktop."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from worker.stack.last_words import open_log, read_last_line

if TYPE_CHECKING:
    from worker.stack.folders import Folders

_READY: Final = re.compile(rb"usher is at (http://\S+) ")
_WITHIN_S: Final = 60.0
_ENDS_WITHIN_S: Final = 15.0


@asynccontextmanager
async def served_console(folders: Folders) -> AsyncIterator[str]:
    """Serve the console for the block; yields a line about it. What it says goes to its log."""
    path = folders.log("console")
    log = open_log(path)
    argv = (sys.executable, "-P", "-m", "cli", "serve")
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=log, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    copying = asyncio.create_task(_copy(process.stderr, log, ready))
    try:
        yield await _describe(ready, copying, str(path))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDS_WITHIN_S):
                await process.wait()
                await asyncio.wait({copying})  # to the end: else its pipe outlives the loop
        copying.cancel()
        os.close(log)


async def _copy(stream: asyncio.StreamReader, log: int, ready: asyncio.Future[str]) -> None:
    """Write what the server says into its log, and find its address there."""
    async for line in stream:
        os.write(log, line)
        if (found := _READY.search(line)) and not ready.done():
            ready.set_result(found[1].decode())


async def _describe(ready: asyncio.Future[str], copying: asyncio.Task[None], log: str) -> str:
    either: set[asyncio.Future[Any]] = {ready, copying}
    await asyncio.wait(either, timeout=_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        said = read_last_line(Path(log)) if copying.done() else "it is not ready yet"
        return f"  Web    not there: {said} (its log: {log})"
    url = ready.result()
    if _has_desktop():
        await asyncio.to_thread(webbrowser.open, url)
    return f"  Web    {url}"


def _has_desktop() -> bool:
    """Whether a browser would have a window: one in a terminal would take these lines' place."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
