"""usher's own connections sign in with something: who of them still keeps a secret, and when what
they keep ends, as far as that was noted.

An application that many connections share holds its credential once, and is told once. No secret is
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from worker.sending.credential_ends import read_ends

if TYPE_CHECKING:
    from config.apps import App
    from config.connections import Connection
    from config.settings import Settings
    from worker.services import Services

COLUMNS = ("stands_under", "credential", "client_id", "connections", "ends", "days_left")
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class Kept(StrEnum):
    """What is kept to sign in with. What ends and can be stolen stands first."""

    SECRET = "secret"  # noqa: S105 (its kind)
    CERTIFICATE = "certificate"
    TOKEN_FILE = "token file"  # noqa: S105 (its kind)
    FEDERATED = "federated managed identity"
    IDENTITY = "managed identity"


@dataclass(slots=True)
class OwnCredential:
    """What some connections sign in with. `stands_under`: the table of the configuration that says
    so, or the list that a connection stands in.
    """

    stands_under: str
    credential: Kept
    client_id: str
    connections: list[str] = field(default_factory=list)
    ends_at: datetime | None = None

    @property
    def keeps_secret(self) -> bool:
        """Whether it is a secret, which is better replaced."""
        return self.credential is Kept.SECRET

    def ends_within(self, now: datetime, within_s: float) -> bool:
        """Whether it is known to end within some time, and has not."""
        return self.ends_at is not None and now < self.ends_at <= now + timedelta(seconds=within_s)


async def find_own_credentials(services: Services) -> list[OwnCredential]:
    """Return what usher's connections sign in with, secrets first and among these the first to end.
    redis-py's errors pass.
    """
    settings = services.settings()
    ends = await read_ends(services.client, services.keys, [*settings.connections])
    return list_own_credentials(settings, ends)


def list_own_credentials(settings: Settings, ends: Mapping[str, datetime]) -> list[OwnCredential]:
    """Return the same; `ends`: when a connection's credential ends, where that was noted. Pure."""
    found: dict[str, OwnCredential] = {}
    for app in settings.apps.values():
        found[f"apps.{app.name}"] = OwnCredential(f"apps.{app.name}", kind_of(app), app.client_id)
    listed = settings.listed.connections if settings.listed else {}
    for connection in settings.connections.values():
        name = connection.name
        own = f"{name} in connections_file" if name in listed else f"connections.{name}"
        where = f"apps.{connection.app}" if connection.app else own
        one = found.setdefault(where, OwnCredential(where, kind_of(connection), connection.client_id))
        one.connections.append(name)
        if (ends_at := ends.get(name)) is not None:
            one.ends_at = min(one.ends_at or ends_at, ends_at)
    if settings.console.client_id:
        form = settings.console.connection
        found["console"] = OwnCredential("console", kind_of(form), form.client_id)
    return sorted(found.values(), key=_rank)


def kind_of(holder: Connection | App) -> Kept:
    """Return what kind of credential something holds, never which. Pure."""
    if holder.client_secret:
        return Kept.SECRET
    if holder.certificate is not None:
        return Kept.CERTIFICATE
    if holder.client_assertion is not None:
        return Kept.FEDERATED if holder.client_assertion.identity else Kept.TOKEN_FILE
    return Kept.IDENTITY


def describe_own(one: OwnCredential, now: datetime) -> dict[str, Any]:
    """Return one by column; empty where its end is not known. Pure."""
    ends, days = "", ""
    if one.ends_at is not None:
        ends, days = one.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ"), str((one.ends_at - now).days)
    cells = (one.stands_under, one.credential.value, one.client_id, len(one.connections), ends, days)
    return dict(zip(COLUMNS, cells, strict=True))


def tell_secrets(found: list[OwnCredential], most: int = 5) -> str:
    """Say who still keeps a secret, the first ones by name. Pure."""
    secrets = [one.stands_under for one in found if one.keeps_secret]
    if not secrets:
        return "None of usher's own connections keeps a secret."
    more = f" and {len(secrets) - most:,} more" if len(secrets) > most else ""
    keep = "keeps" if len(secrets) == 1 else "keep"
    named = f"{', '.join(secrets[:most])}{more}"
    return (
        f"{len(secrets):,} of {len(found):,} still {keep} a secret: {named}. docs/entra-setup.md says how to keep none."
    )


def _rank(one: OwnCredential) -> tuple[int, datetime, str]:
    return list(Kept).index(one.credential), one.ends_at or _FOR_EVER, one.stands_under
