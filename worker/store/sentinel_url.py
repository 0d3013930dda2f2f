"""A URL of a Redis behind Sentinel is taken apart: redis-py, kombu, Celery's results and RedBeat
each want its parts elsewhere. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

_PORT = 26379
_WAIT_S = 3.0
"""For one Sentinel's answer. There are others to ask, and where none answers, a failover is waited
out by asking again.
"""


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """What `sentinel://name:password@host:26379[,host…]/master/0` says, or with TLS
    `sentinels://…?ssl_ca_certs=…`.

    `userinfo` is the servers' login as it stands in the URL, `sentinel_login` the Sentinels' own
    (`?sentinel_password=…`), as redis-py's arguments. `tls`: redis-py's arguments for Sentinels and
    servers alike, None without TLS.
    """

    hosts: tuple[tuple[str, int], ...]
    master: str
    database: int
    userinfo: str = field(repr=False)
    sentinel_login: dict[str, str] = field(repr=False)
    tls: dict[str, str] | None

    @property
    def login(self) -> dict[str, str]:
        """User name and password, undone of their percent signs; only what there is of them."""
        name, _, password = self.userinfo.partition(":")
        return {key: unquote(value) for key, value in (("username", name), ("password", password)) if value}

    @property
    def server_options(self) -> dict[str, Any]:
        """redis-py's arguments for the way to the servers."""
        return {} if self.tls is None else {"ssl": True, **self.tls}

    @property
    def sentinel_options(self) -> dict[str, Any]:
        """redis-py's arguments for the way to the Sentinels: its `sentinel_kwargs`."""
        return {"socket_timeout": _WAIT_S, **self.sentinel_login, **self.server_options}

    @property
    def for_celery(self) -> str:
        """As Celery and kombu spell it, for both without TLS, which they are told of elsewhere as
        of the master's name.
        """
        at = f"{self.userinfo}@" if self.userinfo else ""
        return ";".join(f"sentinel://{at}{name}:{port}/{self.database}" for name, port in self.hosts)


def read_sentinel_url(url: str) -> SentinelUrl | None:
    """Take a URL apart that the configuration accepted; None for one of another scheme."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("sentinel", "sentinels"):
        return None
    rest, _, query = rest.partition("?")
    netloc, _, path = rest.partition("/")
    userinfo, _, names = netloc.rpartition("@")
    master, _, database = path.strip("/").partition("/")
    pairs = (one.partition(":") for one in names.split(","))
    options = dict(parse_qsl(query.replace("+", "%2B")))  # a plus is itself, as in the servers' login
    login = {key: options.pop(f"sentinel_{key}", "") for key in ("username", "password")}
    return SentinelUrl(
        tuple((name, int(port or _PORT)) for name, _, port in pairs),
        master,
        int(database or 0),
        userinfo,
        {key: value for key, value in login.items() if value},
        {"ssl_cert_reqs": "required", **options} if scheme == "sentinels" else None,
    )
