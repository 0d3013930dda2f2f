"""The rows of a job that are tried again: copied out of the ledger first, then read like any other list.

They go through a nameless temporary file: the ledger is read asynchronously and a list is not, and a million rows stay out of memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self

from tasks.rows import BadRow, ValidRow, validate_record
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
