"""An application that several connections share: `[apps.NAME]` holds its client and credential
once, for all the tenants that it was consented to in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import PlainValidator

from config.clouds import CLOUDS
from config.connections import CREDENTIAL_KEYS, check_client, check_identity
from config.errors import did_you_mean
from config.section import OptionalAssertion, OptionalReference, References, Section, optional, path_of
from config.values import parse_choice, parse_name


def _check_url(value: object) -> str:
    if isinstance(value, str) and value.startswith("https://"):
        return value
    raise ValueError("must be an https:// address")


class App(Section):
    """One application. What it says counts for each connection that names it as `app`."""

    name: Annotated[str, PlainValidator(parse_name)]
    client_id: Annotated[str, PlainValidator(check_client)]
    client_secret: References = ()
    certificate: OptionalReference = None
    certificate_password: OptionalReference = None
    client_assertion: OptionalAssertion = None
    managed_identity: Annotated[str | None, optional(check_identity)] = None
    cloud: Annotated[str | None, optional(partial(parse_choice, choices=tuple(CLOUDS)))] = None
    authority: Annotated[str | None, optional(_check_url)] = None
    graph_url: Annotated[str | None, optional(_check_url)] = None
    ca_file: Annotated[str | None, path_of("a PEM file with certificates to trust")] = None

    @property
    def given(self) -> Mapping[str, Any]:
        """What connections take from it, by their own keys."""
        values = {name: getattr(self, name) for name in (*OWN, *WHERE)}
        return {name: value for name, value in values.items() if value not in (None, ())}


OWN = ("client_id", *CREDENTIAL_KEYS)
"""What a connection of an application cannot say itself."""
WHERE = ("cloud", "authority", "graph_url", "ca_file")
"""What it may say otherwise."""


def take_from_app(table: Mapping[str, object], apps: Mapping[str, App]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return what a connection's table takes from the application that it names, and (key, half a
    sentence) for what is wrong with that. Nothing for one that names none.
    """
    name = table.get("app")
    if name is None:
        return {}, []
    app = apps.get(name) if isinstance(name, str) else None
    if app is None:
        return {}, [("app", f"names no application that is configured{did_you_mean(str(name)[:64], apps)}")]
    both = [key for key in OWN if table.get(key) not in (None, [], ())]
    faults = [(key, f"is the application's: it stands under [apps.{app.name}]") for key in both]
    taken = {key: value for key, value in app.given.items() if key in OWN or table.get(key) is None}
    return taken, faults
