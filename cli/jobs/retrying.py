"""`usher jobs retry`: the rows that are tried again are copied out of the ledger first, then sent
like any other list.

They go through a nameless temporary file: the ledger is read asynchronously and a list is not, and
a million rows stay out of memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any, Self

from cli.follow.run import Run, get_ready
from cli.invite.request import Request
from cli.invite.sending import send
from cli.jobs.finding import find_job
from cli.ui.errors import Refusal
from tasks.rows.row import BadRow, ValidRow, validate_record
from worker.ledger.approval import SUBMITTER
from worker.ledger.audit.account import find_person
from worker.ledger.model import JobState
from worker.services import Services


class CopiedRows:
    """Rows to be read once, checked anew. A context manager: the copy ends with it."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[ValidRow | BadRow]:
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            yield validate_record(json.loads(line), number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


async def collect(services: Services, job: str) -> CopiedRows:
    """Copy the rows of a job that failed or stayed in doubt, as they were submitted."""
    file = tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass")  # noqa: SIM115 - closed by CopiedRows
    try:
        async for _, _, row in services.jobs.rows.refused(job):
            file.write(json.dumps(row) + "\n")
    except BaseException:
        file.close()
        raise
    return CopiedRows(file)


async def retry_job(run: Run, services: Services, wanted: str, options: dict[str, Any]) -> int:
    """Send the rows of a job that failed or stayed in doubt as a new job, and follow it."""
    view = await find_job(services, wanted)
    if not view.ended and view.state is not JobState.PAUSED:
        raise Refusal(
            f"Job {view.id} is still {view.state.value}: wait for its end, or pause it, before its failed rows are"
            " tried again."
        )
    if not view.counts.failed + view.counts.in_doubt:
        raise Refusal(f"No row of job {view.id} failed or stayed in doubt; nothing was sent.")
    await get_ready(run, services, view.connection)
    # Whoever tries again submits, and is not approved by that.
    dropped = (*SUBMITTER, "approver", "approved_at", "sha256")
    info = {name: value for name, value in view.info.items() if name not in dropped} | find_person().to_info()
    with await collect(services, view.id) as rows:
        request = Request(
            connection=view.connection,
            rows=rows,
            name=f"retry of {view.id}",
            options=view.options,
            info={**info, "list": f"retry of {view.id}", "retry_of": view.id},
            in_doubt_before=view.counts.in_doubt,
            accept_bad=True,  # they were accepted once
            **{key: options[key] for key in ("yes", "detach", "wait_s")},
        )
        return await send(run, services, request)
