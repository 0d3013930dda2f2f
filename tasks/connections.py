"""A connection is told of, held and reopened: what the command and the console do alike."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from config.connections import SANDBOX, means_several
from config.errors import ConfigError, FaultyConnection
from tasks.errors import Refusal
from tasks.own_credentials import kind_of
from tasks.telling.words import gate_words, moment, utc_now
from worker.ledger.gates import Gate, HoldReason

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.services import Services

NO_REASON: Final = "no reason was given."
"""What is told of a hold for which nobody said why."""


def describe_connection(services: Services, name: str, gate: Gate) -> dict[str, Any]:
    """Return a connection and its gate in words, without any secret. Raises `UnknownConnection`."""
    state = "held" if gate.held else "slowed down" if gate.closed_until else "open"
    told: dict[str, Any] = {
        "connection": name,
        "tags": [],
        "tenant": "",
        "client": "",
        "cloud": "",
        "credential": "",
        "pace": "",
    }
    try:
        connection = services.connection(name)
    except FaultyConnection as error:
        told["faults"] = error.faults
    except ConfigError:
        if name != SANDBOX:
            raise
        told["credential"] = "built in, starts when it is used"
    else:
        told |= {
            "tags": list(connection.tags),
            "tenant": connection.tenant_id,
            "client": connection.client_id,
            "cloud": connection.realm,
            "credential": _credential(connection),
            "pace": str(connection.pace),
        }
    since = f" since {moment(gate.since)}" if gate.held and gate.since else ""
    why = " ".join([*told.pop("faults", ()), gate_words(gate, utc_now())]).strip()
    return {**told, "gate": state + since, "why": why}


def _credential(connection: Connection) -> str:
    """What kind of credential, never which."""
    several = len(connection.client_secret)
    return f"{several} secrets" if several > 1 else kind_of(connection).value


def choose_connections(settings: Settings, name: str | None) -> list[str]:
    """Return the names that are meant (`Settings.choose`); without any all there are. Raises
    `UnknownConnection` and `ConfigError`.
    """
    if name is None:
        return sorted({*settings.connections, *faulty_names(settings)}) or [SANDBOX]
    return settings.choose(name, faulty=True)


def faulty_names(settings: Settings) -> list[str]:
    """Return the names of connections whose lines are faulty, as far as they have one."""
    return [line.name for line in settings.faulty if line.name]


def untold_faults(settings: Settings, name: str | None) -> list[str]:
    """Return the faults of lines without a name to tell them by, where such a line may be meant."""
    if name is not None and not means_several(name):
        return []
    return [fault for line in settings.faulty if not line.name for fault in line.faults]


def need_connection(settings: Settings, name: str) -> None:
    """Raise `UnknownConnection` for a name that nobody has, not even a faulty line or, as far as
    anybody knows, one of a list that cannot be read.
    """
    if name != SANDBOX:
        with suppress(FaultyConnection):
            settings.connection(name)


async def hold_connection(services: Services, name: str, reason: str) -> None:
    """Let a connection send nothing any more, until somebody reopens it. Raises
    `UnknownConnection`, and `Refusal` for an empty reason.
    """
    need_connection(services.settings(), name)
    why = f"Held by whoever runs usher: {_sentence(reason)} `usher connections reopen {name}` lifts it."
    await services.gates.hold(name, HoldReason.OPERATOR, why, tenant_key=services.trail.tenant_key_of(name))


async def hold_everything(services: Services, reason: str) -> None:
    """Hold every connection, those unknown here included. Raises `Refusal` for an empty reason."""
    why = f"Everything is held by whoever runs usher: {_sentence(reason)} `usher connections reopen --all` lifts it."
    await services.gates.hold_everything(why)


async def reopen_connection(services: Services, name: str) -> bool:
    """Lift a connection's hold, and with it the block of its tenant, and an operator's hold of a
    name that the tenant has no longer. Whether it was held. Raises `UnknownConnection`.
    """
    settings = services.settings()
    need_connection(settings, name)
    try:
        connection = services.connection(name)
    except ConfigError:
        connection = None  # the sandbox, which does not run
    was_held = await services.gates.reopen(name, tenant_key=connection.tenant_key if connection else None)
    if connection is not None and not settings.unread:
        known = {*settings.connections, *faulty_names(settings)}
        for gone in await services.gates.held_names(connection.tenant_key) - known:
            await services.gates.reopen(gone, HoldReason.OPERATOR)
    for same in settings.connections.values():
        if (
            connection is not None
            and same.name != name
            and services.tenants.named(same).tenant_key == connection.tenant_key
        ):
            await services.gates.reopen(same.name, HoldReason.ABUSE)  # the block was the tenant's
    return was_held


async def reopen_everything(services: Services) -> list[str]:
    """Lift the hold on everything; returns the connections that are held by themselves."""
    await services.gates.reopen_everything()
    gates = await services.gates.of_many(services.settings().connection_names)
    return [name for name, gate in gates.items() if gate.held]


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        raise Refusal("The reason is empty; nothing was held.")
    return text if text.endswith((".", "!", "?")) else f"{text}."
