"""The plan announces no e-mail to guests who are there already: a short list is looked up before it
is sent.

A short list is looked up whole, as each of its rows is once more before it is sent. A long one is
not: its plan says "at most", and `--dry-run` says how many.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.forecast.guarded import foresee_guarded
from tasks.forecast.plan import reduce_to
from tasks.forecast.rows import Foresight
from tasks.forecast.stages import StageForesight
from tasks.forecast.targets import StageAhead, properties_read
from worker.channels import INVITE
from worker.errors import UsherError
from worker.operations.foreseen import Would
from worker.operations.operation import MAILED, Channel
from worker.operations.registry import find_operation
from worker.operations.tenant_rules import TenantRules

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.submit import Loaded
    from worker.ledger.model import Options
    from worker.services import Services

SHORT_ROWS = 200
"""Looked up in some 80 reads, of which a tenant allows thousands in ten seconds."""
_WITHIN_S = 10.0  # nobody waits longer for a plan


@dataclass(frozen=True, slots=True)
class Ahead:
    """`loaded` as it will be sent, as far as known. `at_most`: more guests may be there already."""

    loaded: Loaded
    known: int = 0
    refused: int = 0
    at_most: bool = True
    stages: Sequence[StageAhead] = ()


async def look_ahead(
    services: Services,
    connection: Connection,
    loaded: Loaded,
    options: Options,
    stages: Sequence[StageAhead] = (),
    operation: str = INVITE,
) -> Ahead:
    """Look whose guests are there. What cannot be looked up, or not soon, counts as to be sent."""
    if loaded.rows > SHORT_ROWS or not loaded.to_send:
        return Ahead(loaded, at_most=bool(loaded.to_send), stages=stages)
    channel = Channel(connection, find_operation(operation))
    read = properties_read([operation, *(stage.name for stage in stages)])
    foresight = Foresight(services, channel, TenantRules(), options, read)
    beyond = StageForesight(services, connection, loaded.job, stages, TenantRules(), loaded.options)
    counts: Counter[Would] = Counter()
    mails = 0
    remarks: Counter[str] = Counter()
    try:
        async with asyncio.timeout(_WITHIN_S):
            rows, guard = await foresee_guarded(foresight, loaded.job)
            async for one in beyond.add(rows):
                counts[one.foreseen.would] += 1
                if one.foreseen.would is Would.DO:
                    mails += channel.operation.mail(one.row, connection, options) == MAILED
                    remarks.update(channel.operation.remarks(one.row, options))
    except (TimeoutError, UsherError):
        return Ahead(loaded, stages=stages)
    known = counts[Would.SKIP] - loaded.duplicates
    refused = loaded.to_send - counts[Would.DO] - known
    left = reduce_to(loaded, counts[Would.DO], mails, remarks)
    unsure = foresight.may_not_read or foresight.not_looked_up > 0 or bool(guard and guard.unread)
    return Ahead(left, known, refused, unsure, stages if beyond.unread else beyond.counted())
