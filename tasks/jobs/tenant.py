"""What a job did belongs to its tenant, and is not tried again, or undone, in another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import Refusal

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services


async def refuse_other_tenant(services: Services, view: JobView) -> None:
    """Raise `Refusal` where a job's connection stands for another tenant by now."""
    await services.tenants.recall()
    if not services.is_of_tenant(view.tenant, view.connection):
        raise Refusal(
            f"Connection {view.connection} stood for another tenant when job {view.id} was accepted, so nothing is done"
            " with its rows there: whoever runs usher looks whether the tenant ids of two connections have changed"
            " places. Nothing was sent."
        )
