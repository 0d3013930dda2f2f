"""A ceiling: what would be done to more guests than `--most` allows is done to none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import Refusal
from tasks.forecast.guarded import foresee_guarded
from tasks.forecast.rows import Foresight
from tasks.telling.words import many, number
from worker.operations.foreseen import Would
from worker.operations.operation import Channel
from worker.operations.registry import find_operation
from worker.operations.tenant_rules import TenantRules

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.submission.request import Request
    from tasks.submit import Loaded
    from worker.services import Services


MOST = "most"
"""The name of the ceiling that a command's `--most` is."""


class CeilingMet(Refusal):
    """There is more to do than a ceiling allows, so nothing is done; the text is a sentence.
    `would`: to how many it would be done.
    """

    def __init__(self, sentence: str, would: int, name: str = MOST) -> None:
        super().__init__(sentence)
        self.would = would
        self.name = name


def refuse_unseen(request: Request, loaded: Loaded) -> None:
    """The same where nobody can look now: each row that can be sent counts. Raises `CeilingMet`."""
    if request.most is not None and loaded.to_send > request.most:
        raise _beyond(request, loaded.to_send)


async def refuse_too_many(services: Services, request: Request, connection: Connection, loaded: Loaded) -> None:
    """Look to how many rows it would be done; those not looked up count. Raises `CeilingMet`."""
    if request.most is None or loaded.to_send <= request.most:
        return
    operation = find_operation(request.operation)
    foresight = Foresight(services, Channel(connection, operation), TenantRules(), loaded.options, operation.reads)
    rows, _ = await foresee_guarded(foresight, loaded.job)
    would = 0
    async for row in rows:
        would += row.foreseen.would is Would.DO
    if would > request.most:
        raise _beyond(request, would)


def _beyond(request: Request, would: int) -> CeilingMet:
    what = many(would, find_operation(request.operation).requests.removesuffix("s"))
    return CeilingMet(f"There would be {what}, and --most allows {number(request.most or 0)}: nothing was done.", would)
