"""A connection names one tenant, one registered app, its credential, and how usher behaves there.

The credential is only referred to (`env:`, `file:`); `worker/signin/tokens.py` resolves it when it
asks for a token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, ValidationInfo, model_validator

from config.clouds import CLOUDS, cloud_of_graph_host
from config.errors import did_you_mean
from config.guest_rules import CleanSection, SyncSection
from config.mail import DELIVERIES, OWN, Rate, parse_address
from config.notify import parse_notify
from config.section import (
    Domains,
    Flag,
    OptionalAssertion,
    OptionalReference,
    References,
    Section,
    as_list,
    one_of,
    optional,
    path_of,
)
from config.values import (
    Pace,
    fold_domain,
    is_guid,
    parse_count,
    parse_domain,
    parse_name,
    parse_redirect_url,
    parse_service_url,
    parse_share,
)

SANDBOX: Final = "sandbox"
"""Name of the connection that exists without configuration; whoever configures one of that name
gets their own.
"""

ALL: Final = "all"
TAG: Final = "tag:"
"""How a choice of connections names all of them, and those that have a tag; names do it by
themselves, with commas between.
"""

_SEVERAL = (ALL, TAG.rstrip(":"))

MY_APPS: Final = "https://myapplications.microsoft.com"
"""Where a guest lands whose row brings no redirect URL: Microsoft's page of a person's apps."""

_SHARED_TENANTS = ("common", "organizations", "consumers")  # for people who sign in; an app alone needs its tenant
_API_VERSION = "v1.0"


def check_connection_name(value: object) -> str:
    """Return what a connection is called. Raises ValueError with half a sentence."""
    if value in _SEVERAL:
        raise ValueError("must be another name: all and tag mean several connections")
    return parse_name(value)


def is_connection_name(name: str) -> bool:
    """Tell whether a connection may be called so."""
    try:
        check_connection_name(name)
    except ValueError:
        return False
    return True


def check_tenant(value: object) -> str:
    """Return a tenant's id or domain as it is kept. Raises ValueError with half a sentence."""
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _SHARED_TENANTS:
            raise ValueError("must be one tenant: an app that signs in alone has no common, organizations or consumers")
        if is_guid(text):
            return text
        try:
            return parse_domain(text)
        except ValueError:
            pass
    raise ValueError("must be the tenant's GUID or one of its verified domain names")


def check_client(value: object) -> str:
    """Return an application's id. Raises ValueError with half a sentence."""
    # Lenient: a real one is a GUID, rehearsals make their own up; what would break a URL or a key
    # is refused.
    if isinstance(value, str) and value and not any(c <= " " or c in "/\\\x7f" for c in value):
        return value
    raise ValueError("must be the application (client) id, without spaces or slashes")


def check_identity(value: object) -> str:
    """Return the name of a managed identity. Raises ValueError with half a sentence."""
    if isinstance(value, str) and (value == "system" or is_guid(value.strip())):
        return value.strip().lower()
    raise ValueError("must be system, or the client id of a managed identity")


def _check_authority(value: object, info: ValidationInfo) -> str:
    """Complete the authority: the cloud's own where none is given, the tenant as its path."""
    tenant = str(info.data.get("tenant_id", ""))
    if not value:
        return f"https://{CLOUDS[info.data.get('cloud', 'global')].login_host}/{tenant}"
    host, path = parse_service_url(value)
    if "/" in path:
        raise ValueError(
            "must be the sign-in host, with the tenant as its path or without: https://host or https://host/tenant"
        )
    if path.lower() in _SHARED_TENANTS:
        raise ValueError("must end in one tenant, not in common, organizations or consumers")
    return f"https://{host}/{path or tenant}"


def _check_graph_url(value: object, info: ValidationInfo) -> str:
    """Complete Graph's address: else the cloud's own; the API version is its last part."""
    if not value:
        return f"https://{CLOUDS[info.data.get('cloud', 'global')].graph_host}/{_API_VERSION}"
    host, path = parse_service_url(value)
    parts = [part for part in path.split("/") if part]
    if not parts or parts[-1] not in (_API_VERSION, "beta"):
        parts.append(_API_VERSION)
    return f"https://{host}/{'/'.join(parts)}"


CREDENTIALS = ("client_secret", "certificate", "client_assertion", "managed_identity")
"""The keys of what a connection signs in with, one of them; a list is tried in its order."""
CREDENTIAL_KEYS = (*CREDENTIALS, "certificate_password")
"""The keys that hold a credential, or a part of one."""


def _realm_of(graph_host: str) -> str:
    """Return what `Connection.realm` is."""
    cloud = cloud_of_graph_host(graph_host)
    if cloud is not None:
        return cloud.name
    return graph_host if graph_host.rpartition(":")[2].isdigit() else f"{graph_host}:443"


def _host_of(url: str) -> str:
    return url.removeprefix("https://").partition("/")[0]


@lru_cache(maxsize=4096)  # each batch asks for its keys some ten times
def _key_of(graph_url: str, *ids: str) -> str:
    return "/".join([_realm_of(_host_of(graph_url)), *ids]).lower()


class Connection(Section):
    """A named tenant + client + credential, complete: every default filled in, every URL final."""

    name: Annotated[str, PlainValidator(check_connection_name)]
    tenant_id: Annotated[str, PlainValidator(check_tenant)]
    app: Annotated[str | None, optional(parse_name)] = None
    """The application of `[apps.NAME]` that it signs in as; its client and credential are in the
    fields below.
    """
    tags: Annotated[tuple[Annotated[str, PlainValidator(parse_name)], ...], BeforeValidator(as_list)] = ()
    """What it is chosen by, beside its name."""
    client_id: Annotated[str, PlainValidator(check_client)]
    client_secret: References = ()
    certificate: OptionalReference = None
    certificate_password: OptionalReference = None
    client_assertion: OptionalAssertion = None
    """Whose token takes the place of a secret: `file:/path`, or `managed_identity:CLIENT_ID`."""
    managed_identity: Annotated[str | None, optional(check_identity)] = None
    """`system`, or the client id of an identity that is assigned to where usher runs."""
    cloud: Annotated[str, one_of(*CLOUDS)] = "global"
    authority: Annotated[str, PlainValidator(_check_authority)] = ""
    """With the tenant: `https://login.microsoftonline.com/<tenant>`."""
    graph_url: Annotated[str, PlainValidator(_check_graph_url)] = ""
    """With the version: `https://graph.microsoft.com/v1.0`."""
    ca_file: Annotated[str | None, path_of("a PEM file with certificates to trust")] = None
    redirect_url: Annotated[str, PlainValidator(parse_redirect_url)] = MY_APPS
    send_message: Flag = True
    deliver: Annotated[Literal["graph", "smtp", "mailbox", "none"], one_of(*DELIVERIES)] = "graph"
    """Who mails the invitation, where `send_message` wants a mail: Microsoft, the server of
    `[smtp]`, the `mailbox`, nobody.
    """
    mailbox: Annotated[str | None, optional(parse_address)] = None
    mailbox_rate: Annotated[Rate, PlainValidator(Rate.parse), PlainSerializer(str)] = Rate()
    allowed_domains: Domains = ()
    blocked_domains: Domains = ()
    pace: Annotated[Pace, PlainValidator(Pace.parse), PlainSerializer(str)] = Pace()
    notify: Annotated[str | None, optional(parse_notify)] = None
    """Who is told of its jobs, where a job names nobody itself."""
    daily_limit: Annotated[int | None, optional(parse_count)] = None
    precheck: Flag = True
    require_approval: Flag = False
    """Jobs wait until somebody other than their submitter approves them."""
    on_doubt: Annotated[Literal["report", "resend", "silent"], one_of("report", "resend", "silent")] = "report"
    refusals_in_a_row: Annotated[int, PlainValidator(partial(parse_count, least=0))] = 20
    """So many rows of one job refused by Graph one after the other hold the job; 0: never."""
    refused_share: Annotated[float, PlainValidator(parse_share)] = 0.5
    """More than this share of a job's first 100 answers being refusals holds it; 1.0: never."""
    clean: CleanSection = CleanSection()
    sync: SyncSection = SyncSection()

    @model_validator(mode="after")
    def _credential(self) -> Connection:
        for _, fault in credential_faults({name: getattr(self, name) for name in CREDENTIAL_KEYS}):
            raise ValueError(fault)
        return self

    def for_tenant(self, name: str, tenant_id: str, tags: tuple[str, ...]) -> Connection:
        """Return the same for another tenant; all three were checked."""
        host = self.authority.rpartition("/")[0]
        update = {"name": name, "tenant_id": tenant_id, "tags": tags, "authority": f"{host}/{tenant_id}"}
        return self.model_copy(update=update)

    @property
    def mails_itself(self) -> bool:
        """Whether usher, and not Microsoft, mails this connection's guests."""
        return self.deliver in OWN

    @property
    def keeps_what_ends(self) -> bool:
        """Whether it signs in with a secret or a certificate, which end."""
        return bool(self.client_secret) or self.certificate is not None

    @property
    def graph_host(self) -> str:
        """`host` or `host:port` of Graph."""
        return _host_of(self.graph_url)

    @property
    def login_host(self) -> str:
        """`host` or `host:port` of the authority."""
        return _host_of(self.authority)

    @property
    def scope(self) -> str:
        """What a token is asked for: everything granted to the app on this Graph. Tokens of one
        cloud are not taken by another.
        """
        return f"https://{self.graph_host}/.default"

    @property
    def realm(self) -> str:
        """What a quota or a token belongs to first: the cloud's name, or Graph's `host:port` where
        it is none of Microsoft's.

        It follows from where Graph is, not from how that was written: two connections that reach
        the same tenant, one by `cloud` and one by `graph_url`, share its quota.
        """
        return _realm_of(self.graph_host)

    @property
    def client_key(self) -> str:
        """Cloud, tenant and client: what a token and the app + tenant quota belong to. Never the
        connection's name.
        """
        return _key_of(self.graph_url, self.tenant_id, self.client_id)

    @property
    def tenant_key(self) -> str:
        """Cloud and tenant: what all apps in a tenant share."""
        return _key_of(self.graph_url, self.tenant_id)

    @property
    def app_key(self) -> str:
        """Cloud and client: what one app shares over all tenants."""
        return _key_of(self.graph_url, self.client_id)

    def accepts_domain(self, domain: str) -> bool:
        """Whether a guest of this domain may be invited here. Subdomains are domains of their own,
        as in Entra's own lists.
        """
        folded = fold_domain(domain)
        return folded not in self.blocked_domains and (not self.allowed_domains or folded in self.allowed_domains)


def credential_faults(given: Mapping[str, object]) -> Sequence[tuple[str, str]]:
    """Return (key or "" for the table, half a sentence) for what is wrong with how a credential is
    named in a table.
    """
    named = [name for name in CREDENTIALS if given.get(name) not in (None, [], ())]
    if len(named) > 1:
        return [("", f"must have {' or '.join(named)}, not {'both' if len(named) == 2 else 'several'}")]
    if not named:
        return [("", f"must have {' or '.join(CREDENTIALS)}")]
    if given.get("certificate_password") is not None and "certificate" not in named:
        return [("certificate_password", "belongs to a certificate, and there is none")]
    return []


def inner_faults(connection: Connection) -> list[tuple[str, str]]:
    """Return (key, half a sentence) for settings of a connection that do not go together. Pure."""
    found: list[tuple[str, str]] = []
    if set(connection.allowed_domains) & set(connection.blocked_domains):
        found.append(("blocked_domains", "must not hold a domain that allowed_domains holds too"))
    if connection.deliver == "mailbox" and connection.mailbox is None:
        found.append(("mailbox", 'is missing, and deliver is "mailbox"'))
    if connection.sync.source_attribute == connection.clean.expiry_attribute:
        found.append(("sync.source_attribute", "must be another attribute than clean.expiry_attribute"))
    return found


def split_chosen(text: str) -> list[str]:
    """Return the names, tags and `all` of a choice."""
    return [part for part in map(str.strip, text.split(",")) if part]


def means_several(text: str) -> bool:
    """Tell whether several connections may be meant; a single name is one."""
    parts = split_chosen(text)
    return len(parts) > 1 or any(part == ALL or part.startswith(TAG) for part in parts)


def choice_fault(text: str, known: Iterable[str]) -> str:
    """Return half a sentence about what of a choice can mean no connection, '' for none. A tag that
    nobody has is none: tags come and go.
    """
    parts, names = split_chosen(text), sorted(known)
    if not parts:
        return "must be the name of a connection"
    for part in parts:
        if part.startswith(TAG):
            try:
                parse_name(part.removeprefix(TAG))
            except ValueError:
                return "holds tag: without a tag of a-z, 0-9 and -"
        elif part != ALL and part not in names:
            return f"names no connection that is configured{did_you_mean(part, names)}"
    return ""
