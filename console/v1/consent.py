"""Who may ask for what: a producer within its bounds; what takes something away from guests, only
with a word more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from config.connections import means_several, split_chosen
from config.errors import ConfigError, UnreadConnection
from console.access.viewer import Role, Viewer
from console.faults import Fault
from console.problems import Problem
from tasks.jobs.moving import ASKED_FOR, BY_PRODUCER, is_paused_by_people
from tasks.producers import check_rows
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from console.v1.order import Order
    from tasks.submit import Loaded
    from worker.ledger.job_view import JobView
    from worker.operations.operation import Operation
    from worker.services import Services


def check_bounds(viewer: Viewer, connection: str, operation: str) -> None:
    """Raise `Problem` for what is beyond a producer's bounds."""
    if refusal := viewer.refusal(connection, operation):
        raise beyond_bounds(refusal, connection)


def check_pause(viewer: Viewer, view: JobView) -> None:
    """Raise `Problem` where a producer would let a job run on that people have paused."""
    if viewer.producer is not None and is_paused_by_people(view):
        told = (
            f"job: {view.id} was paused by whoever runs usher, who lets it run on (usher jobs resume {view.id}); the"
            f" producer {viewer.producer} may not. Nothing was sent."
        )
        raise Problem(403, told, facts={"connection": view.connection, "job": view.id})


def why_paused(viewer: Viewer) -> str:
    """Return what a job keeps of who paused it."""
    return ASKED_FOR if viewer.producer is None else BY_PRODUCER


def beyond_bounds(refusal: str, connection: str) -> Problem:
    """Return what is answered to a producer that asks for what it may not."""
    return Problem(403, f"{refusal} Nothing was accepted.", beyond=refusal, facts={"connection": connection})


def checking_rows(viewer: Viewer, connection: str) -> Callable[[Loaded], None]:
    """Return what raises `Problem` for rows that ask for what a producer may not."""

    def check(loaded: Loaded) -> None:
        if refusal := check_rows(viewer.bound, loaded):
            raise beyond_bounds(refusal, connection)

    return check


def choose_connections(services: Services, viewer: Viewer, order: Order) -> list[str]:
    """Return the connections that an order means, of a producer its own alone. Raises `Problem`."""
    settings, field = services.settings(), "connection" if order.connection else "connections"
    named = [part for part in split_chosen(order.through) if not means_several(part)]
    for name in named:
        check_bounds(viewer, name, order.operation)
        if name not in settings.connection_names and not settings.may_be_unread(name):
            known = "" if viewer.producer else f" Known are: {', '.join(settings.connection_names)}."
            refuse_field(field, f"There is no connection {name}.{known}")
    try:
        chosen = settings.choose(order.through, viewer.bound.connections if viewer.bound else None)
    except UnreadConnection:
        raise
    except ConfigError as error:
        refuse_field(field, str(error))
    for name in chosen:
        check_bounds(viewer, name, order.operation)
    if not chosen:
        refuse_field(field, "It names no connection.")
    return chosen


def check_order(order: Order, viewer: Viewer, *, dry: bool) -> None:
    """Raise `Problem` for what this viewer may not ask for, or nobody."""
    operation = OPERATIONS.get(order.operation)
    if operation is None or not operation.takes_lists:
        possible = sorted(name for name, one in OPERATIONS.items() if one.takes_lists)
        refuse_field("operation", f"It is one of {', '.join(possible)}.")
    if not dry:
        check_consent(viewer, [operation], confirm=order.confirm)


def check_consent(viewer: Viewer, operations: Sequence[Operation], *, confirm: bool) -> None:
    """Raise `Problem` where something would be taken away from guests that nobody has confirmed, or
    by somebody who may not.
    """
    for operation in operations:
        if not (operation.guarded or operation.only_looks):
            continue
        if not confirm:
            refuse_field(
                "confirm",
                f"To {operation.name} may take something away from guests: POST /v1/dry-runs shows what it would do,"
                " and confirm: true does it.",
            )
        if viewer.producer is None and not viewer.can(Role.OPERATE):
            raise Problem(403, f"To {operation.name} guests needs the role {Role.OPERATE.word}; nothing was accepted.")


def refuse_field(field: str, reason: str, *, beyond: bool = False) -> NoReturn:
    """Raise the `Problem` of one field. `beyond`: it may be beyond what a producer may."""
    told = f"{field}: {reason}"
    errors = [Fault(field=field, reason=reason)]
    raise Problem(422, f"{told} Nothing was accepted.", errors=errors, beyond=told if beyond else "")
