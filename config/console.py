"""The console knows people by their sign-in with Entra (`[console]`), and programs by tokens: a
producer's own (`[producers.NAME]`), or Entra's.

Tokens and credentials are only referred to; what may be done with them is checked where they are
used (`tasks/producers.py`, `console/access/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from config.clouds import CLOUDS
from config.connections import CREDENTIAL_KEYS, SANDBOX, Connection, credential_faults
from config.errors import did_you_mean
from config.notify import parse_host
from config.section import OptionalAssertion, OptionalReference, References, Section, as_list, one_of, optional, path_of
from config.values import is_guid, is_loopback, parse_count, parse_name, parse_seconds, parse_service_url, split_url

_Seconds = Annotated[float, PlainValidator(parse_seconds)]


def _check_guid(value: object) -> str:
    if isinstance(value, str) and is_guid(value.strip()):
        return value.strip().lower()
    raise ValueError("must be an id (11111111-2222-3333-4444-555555555555), which the tokens name")


def _check_host(value: object) -> str:
    host, path = parse_service_url(value)
    if path:
        raise ValueError("must be the sign-in host alone: https://host")
    return f"https://{host}"


def _check_public_url(value: object) -> str:
    parts = split_url(value, ("https", "http"))
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be the console's own address without a path, such as https://usher.contoso.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be an https:// address: a session that is sent in the clear is anybody's")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _check_page(value: object) -> str:
    parts = split_url(value, ("https", "http"))
    if "@" in parts.netloc:
        raise ValueError("must be the address of a page without a user in it, such as https://usher.contoso.com/flower")
    return parts.geturl()


def _check_audience(value: object) -> str:
    if isinstance(value, str) and value and value.isprintable() and " " not in value:
        return value
    raise ValueError("must be what the tokens name as their audience: the application's id, or its id URI (api://…)")


Guids = Annotated[tuple[Annotated[str, PlainValidator(_check_guid)], ...], BeforeValidator(as_list)]
Names = Annotated[tuple[Annotated[str, PlainValidator(parse_name)], ...], BeforeValidator(as_list)]


class ConsoleSection(Section):
    """`[console]`: who may sign in to the console, how, and which tokens programs may bring."""

    tenant_id: Annotated[str | None, optional(_check_guid)] = None
    client_id: Annotated[str | None, optional(_check_guid)] = None
    client_secret: References = ()
    certificate: OptionalReference = None
    certificate_password: OptionalReference = None
    client_assertion: OptionalAssertion = None
    cloud: Annotated[str, one_of(*CLOUDS)] = "global"
    authority: Annotated[str | None, optional(_check_host)] = None
    """Where Entra is not at its cloud's own address: `https://host`."""
    ca_file: Annotated[str | None, path_of("a PEM file with certificates to trust")] = None
    allowed_tenants: Guids = ()
    """Tenants besides `tenant_id` whose people and programs may come."""
    public_url: Annotated[str | None, optional(_check_public_url)] = None
    """The console's own address, as browsers see it: `https://host`."""
    audience: Annotated[tuple[Annotated[str, PlainValidator(_check_audience)], ...], BeforeValidator(as_list)] = ()
    """What the access tokens of programs must be meant for; the client id where none is given."""
    idle_s: _Seconds = Field(default=3600.0, alias="idle")
    """A session ends this long after its last request."""
    session_s: _Seconds = Field(default=12 * 3600.0, alias="session")
    """A session ends this long after its sign-in, whatever is done."""

    flower_url: Annotated[str | None, optional(_check_page)] = None
    """Where Flower is, as browsers see it: a link for those who operate."""

    @property
    def signs_in(self) -> bool:
        """Whether people sign in."""
        return bool(self.client_id and (self.client_secret or self.certificate or self.client_assertion))

    @property
    def takes_tokens(self) -> bool:
        """Whether programs may bring access tokens of Entra."""
        return bool(self.client_id)

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants whose people and programs may come."""
        return (*filter(None, (self.tenant_id,)), *self.allowed_tenants)

    @property
    def audiences(self) -> tuple[str, ...]:
        """What a program's access token may be meant for."""
        return self.audience or ((self.client_id,) if self.client_id else ())

    @property
    def login_url(self) -> str:
        """Where Entra is: `https://host`."""
        return self.authority or f"https://{CLOUDS[self.cloud].login_host}"

    @property
    def connection(self) -> Connection:
        """The application that people sign in to, in the form whose credentials usher can load."""
        names = (*CREDENTIAL_KEYS, "tenant_id", "client_id", "cloud", "ca_file")
        given = {name: getattr(self, name) for name in names if name in type(self).model_fields}
        return Connection(name="console", authority=self.login_url, **given)


class Producer(Section):
    """`[producers.NAME]`: a program that submits jobs, and what it may do."""

    name: Annotated[str, PlainValidator(parse_name)]
    token: References
    """One, or several while one is rolled over; each opens."""
    connections: Names
    operations: Names = ("invite",)
    """What it may ask for; which operations there are, only a worker knows."""
    daily_limit: Annotated[int | None, optional(parse_count)] = None
    """Rows that it may submit in one UTC day."""
    notify_hosts: Annotated[tuple[Annotated[str, PlainValidator(parse_host)], ...], BeforeValidator(as_list)] = ()
    """Whom its jobs may have told (`notify` of a message); `notify.hosts` where none is given."""


def console_faults(given: Mapping[str, Any], section: ConsoleSection) -> list[tuple[str, str]]:
    """Return (key, half a sentence) for what is missing, or does not go together. `given`: the
    table as it was written.
    """
    faults: list[tuple[str, str]] = []
    named = [name for name in CREDENTIAL_KEYS if given.get(name) not in (None, [], ())]
    if named:
        faults += credential_faults(given)
    if (section.tenant_id is None) != (section.client_id is None):
        faults.append(("client_id" if section.client_id is None else "tenant_id", "is missing"))
    elif named and section.client_id is None:
        faults.append(("client_id", "is missing: it names the application whose credential is given"))
    if named and section.public_url is None:
        faults.append(("public_url", "is missing: Entra sends people back to it"))
    if section.idle_s > section.session_s:
        faults.append(("idle", "must not be longer than console.session"))
    return faults


def producers_faults(producers: Mapping[str, Producer]) -> list[tuple[str, str, str]]:
    """Return (name, key, half a sentence) for producers that would be taken for each other. Key '':
    it is the name.
    """
    faults: list[tuple[str, str, str]] = []
    for name, producer in producers.items():
        for other, its in producers.items():
            if name.startswith(f"{other}-"):
                whose = f"begins with the name of another, {other}: its task ids and results would be that one's, too"
                faults.append((name, "", whose))
            if name > other and set(producer.token) & set(its.token):
                faults.append((name, "token", f"is {other}'s, too: each producer has a token of its own"))
    return faults


def producer_faults(producer: Producer, connections: Iterable[str]) -> list[tuple[str, str]]:
    """Return (key, half a sentence) for what a producer names and nobody configured."""
    known = sorted({*connections, SANDBOX})
    faults = [
        ("connections", f"names {name}, which is no connection that is configured{did_you_mean(name, known)}")
        for name in producer.connections
        if name not in known
    ]
    faults += [(key, "must name at least one") for key in ("token", "connections") if not getattr(producer, key)]
    return faults
