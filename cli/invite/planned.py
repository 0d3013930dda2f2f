"""`invite --plan`: run just what was planned, or refuse and name what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.ui.errors import Refusal
from config.version import read_version
from tasks.forecast.plan_file import (
    Plan,
    check_seal,
    compare_connection,
    compare_version,
    describe_connection,
    hash_list,
    read_plan,
)
from worker.ledger.model import Outcome, RowState

if TYPE_CHECKING:
    from cli.invite.request import Request
    from config import Connection
    from tasks.submit import Loaded
    from worker.services import Services

FREE = frozenset({"source", "connection", "plan", "dry_run", "output", "yes", "detach", "wait_s", "reason"})
"""Parameters of `usher invite` that a plan does not fix: they change nothing of what is sent to whom."""
_OLD_DAYS = 7


def open_plan(
    path: str, source: tuple[str, ...], given: dict[str, Any], was_typed: Callable[[str], bool]
) -> tuple[Plan, tuple[str, ...], dict[str, Any]]:
    """Return a plan, the list it is of, and the options to run it with. Raises `InputError`, `Refusal`.

    `was_typed`: whether an option stands on the command line, where it must agree with the plan.
    """
    plan = read_plan(path)
    differing = [f"option {name}" for name in _differing(plan, given, was_typed)]
    if given["connection"] not in (None, plan.connection):
        differing.append(f"the connection ({plan.connection}, now {given['connection']})")
    differing += compare_version(plan, read_version())
    _refuse(plan, differing)
    if not source and not plan.path:
        raise Refusal(f"{plan.name} was made of addresses: give the same ones again. Nothing was sent.")
    return plan, source or (plan.path,), {**given, **plan.options, "connection": plan.connection}


def plan_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a plan fixes, as JSON has them."""
    return {name: _plain(value) for name, value in sorted(given.items()) if name not in FREE}


def check_plan(
    services: Services, request: Request, connection: Connection, *, built_in: bool
) -> Iterator[Outcome | None]:
    """Look at seal, connection and list before anything is loaded; returns the verdicts. Raises `Refusal`."""
    plan = request.plan
    assert plan is not None
    if fault := check_seal(plan, services.sealer()):
        raise Refusal(f"{fault}; nothing was sent. Make it anew: {_anew(plan)}")
    here = describe_connection(connection, built_in=built_in)
    differing = compare_connection(plan, here)
    if hash_list(request.source) != plan.told["list"]["sha256"]:
        differing.append(f"the list ({plan.told['list']['name']})")
    _refuse(plan, differing)
    return _outcomes(plan)


def describe_age(plan: Plan, now: datetime) -> str:
    """Return a warning about a plan that was made long ago, '' for a fresh one."""
    days = (now - datetime.fromisoformat(plan.told["made_at"])).days
    if days < _OLD_DAYS:
        return ""
    return f"{plan.name} is {days} days old: what the tenant said then may have changed; Microsoft, and the look-up before sending, have the last word."


def check_list(request: Request, loaded: Loaded) -> None:
    """Look again once it was read: it may have been changed in between. Raises `Refusal`."""
    plan = request.plan
    assert plan is not None
    if loaded.rows != plan.rows or hash_list(request.source) != plan.told["list"]["sha256"]:
        _refuse(plan, [f"the list ({plan.told['list']['name']})"])


def _differing(plan: Plan, given: dict[str, Any], was_typed: Callable[[str], bool]) -> list[str]:
    planned, names = plan.options, plan_options(given)
    unknown = [name for name in planned if name not in names]
    typed = [name for name, value in names.items() if was_typed(name) and planned.get(name) != value]
    return [f"--{name.replace('_', '-')}" for name in (*unknown, *typed)]


def _refuse(plan: Plan, differing: list[str]) -> None:
    if differing:
        raise Refusal(
            f"{plan.name} cannot run, because this is not as it was planned: {', '.join(differing)}. Nothing was sent. "
            f"To plan what is there now: {_anew(plan)}"
        )


def _anew(plan: Plan) -> str:
    return f"usher invite {plan.path or 'ADDRESS…'} -c {plan.connection} --dry-run -o {plan.name}"


def _outcomes(plan: Plan) -> Iterator[Outcome | None]:
    day = datetime.fromisoformat(plan.told["made_at"]).date()
    for verdict in plan.verdicts():
        if verdict is None:
            yield None
            continue
        letter = RowState.SKIPPED if verdict["would"] == "skip" else RowState.FAILED
        yield Outcome(0, letter, code=verdict["code"], message=f"Not sent, as planned on {day}: {verdict['why']}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
