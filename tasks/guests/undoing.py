"""What a job did to guests is undone row by row: each row of the job whose guest it changed becomes
a row of the operation `undo`, which names the operation that undoes it, or says why none does.

What a job did is known from its results, for as long as they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from tasks.errors import Refusal
from tasks.rows.row import ValidRow
from worker.ledger.model import RowState, status_of
from worker.operations.operation import Operation, word_of
from worker.operations.registry import find_operation
from worker.operations.row_fields import DID, INTERNAL, THEN, WHY

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services


def refuse_undo(view: JobView) -> None:
    """Raise `Refusal` for a job of which nothing can be undone, or not yet."""
    did = _operations_of(view)
    if not any(operation.undone_by for operation in did):
        raise Refusal(
            f"Job {view.id} cannot be undone ({view.operation}): that can only be what a job has disabled or deleted"
            " (who was taken out of a group is put back by a list). Nothing was done."
        )
    if not view.ended:
        raise Refusal(
            f"Job {view.id} is still {view.state.value}: wait for its end, or cancel it (usher jobs cancel {view.id}),"
            " then undo what it did. Nothing was done."
        )


async def copy_done(services: Services, view: JobView, file: IO[str]) -> int:
    """Copy the rows whose guests a job changed; returns how many there are."""
    count, did = 0, _operations_of(view)
    async for record in services.jobs.rows.results(view.id):
        if row := _undo_row(view, record, [one for one in did if _is_done(view, record, one)]):
            file.write(json.dumps(row) + "\n")
            count += 1
    file.seek(0)
    return count


def read_undone(file: IO[str]) -> Iterator[ValidRow]:
    """Yield the copied rows."""
    for number, line in enumerate(file, 1):
        yield ValidRow(number, None, json.loads(line))


def _operations_of(view: JobView) -> list[Operation]:
    """Return what a job did: itself and its stages, without those that only look."""
    names = (view.operation, *view.stages)
    return [operation for operation in map(find_operation, names) if not operation.only_looks]


def _is_done(view: JobView, record: Mapping[str, Any], operation: Operation) -> bool:
    column = "status" if operation.name == view.operation else f"{operation.name}_status"
    return bool(record[column] == status_of(RowState.DONE, operation.name))


def _undo_row(view: JobView, record: Mapping[str, Any], did: list[Operation]) -> dict[str, Any] | None:
    """Return the row of one guest; None where the job did nothing to them. They were chosen once,
    so however they came they are brought back.
    """
    if not did:
        return None
    row = {"email": record["email"] or record["user_id"], "user_id": record["user_id"], INTERNAL: True}
    # Of a stage nobody knows when its item ended
    at = record["finished_at"] if did[0].name == view.operation else ""
    row |= {DID: f"{view.id} {at}".strip()}
    row |= {name: record[name] for name in ("display_name", "ref") if record[name]}
    then = [operation.undone_by for operation in did if operation.undone_by]
    words = " and ".join(word_of(RowState.DONE, operation).replace("_", " ") for operation in did)
    if then:
        return row | {THEN: then[0] if len(then) == 1 else then, WHY: f"{words} by job {view.id}"}
    return row | {WHY: f"This guest was {words} by job {view.id}, which nothing undoes."}
