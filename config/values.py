"""Settings are made of small values: limits, paces, lengths of time, domains, URLs. Pure; no
pydantic.

A parser takes what a TOML file or an environment variable can hold, or its own result, and raises
ValueError with half a sentence ("must be ...") that follows the key in a fault. None repeats the
value it refuses.
"""

from __future__ import annotations

import math
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from config.errors import did_you_mean

GUARDED_PER_MINUTE = 12.0
"""Where the pace "guarded" starts. An abuse detector was seen to act on 11 invitations 30 s apart;
none is published.
"""

LONGEST_S = 3650 * 86_400.0
"""Longest length of time taken (ten years): beyond it a slip of the unit is likelier."""

MOST = 1_000_000_000
"""Largest count taken, for the same reason."""

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LENGTH = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([smhd]?)")
_SHARE = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,15})?) ?%")
_COUNT = re.compile(r"[0-9]{1,15}")
_LIMIT = re.compile(r"([0-9]{1,15}) ?/ ?([^/]+)")
_PACE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?/ ?min")
NAME = re.compile(r"[a-z0-9-]{1,64}")
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_USERINFO = re.compile(r"(?<=://).*@", re.DOTALL)
_QUERY_SECRET = re.compile(r"([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


def parse_seconds(value: object) -> float:
    """Return a length of time in seconds: a number, or text such as `90s`, `15m`, `12h`, `30d`;
    above 0, ten years at most.
    """
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if abs(value) <= LONGEST_S else math.inf
    elif isinstance(value, str) and (match := _LENGTH.fullmatch(value.strip())):
        seconds = float(match[1]) * _UNITS[match[2]]
    if not 0 < seconds <= LONGEST_S:  # NaN too
        raise ValueError('must be a length of time above zero: seconds, or text such as "90s", "15m", "12h" or "30d"')
    return seconds


def parse_count(value: object, *, least: int = 1) -> int:
    """Return a whole number from `least` to a thousand million."""
    if isinstance(value, str) and _COUNT.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        raise ValueError(f"must be a whole number of at least {least}")
    return value


def parse_share(value: object) -> float:
    """Return a share from 0 to 1: a number, or text that is one."""
    share = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        share = float(value) if abs(value) <= 1 else math.inf
    elif isinstance(value, str) and _SHARE.fullmatch(value.strip()):
        share = float(value)
    if not 0 <= share <= 1:  # NaN too
        raise ValueError("must be a share from 0 to 1, such as 0.5")
    return share


def parse_flag(value: object) -> bool:
    """Return a boolean; text (from the environment) may say true/false, yes/no, on/off or 1/0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
    raise ValueError("must be true or false")


def parse_choice(value: object, choices: tuple[str, ...]) -> str:
    """Return one of `choices`; the fault lists them and offers the closest."""
    if isinstance(value, str) and value in choices:
        return value
    close = did_you_mean(value, choices) if isinstance(value, str) else ""
    raise ValueError(f"must be one of {', '.join(choices)}{close}")


@dataclass(frozen=True, slots=True)
class Limit:
    """A documented quota: `amount` units in any `per_s` seconds, written "150/5s"."""

    amount: int
    per_s: float

    @classmethod
    def parse(cls, value: object) -> Limit:
        """Parse `"150/5s"`; the window may have a unit of `parse_seconds`."""
        if isinstance(value, Limit):
            return value
        match = _LIMIT.fullmatch(value.strip()) if isinstance(value, str) else None
        try:
            if match is None:
                raise ValueError
            return cls(parse_count(match[1]), parse_seconds(match[2]))
        except ValueError:
            pass
        raise ValueError('must be an amount and a length of time, both above zero, such as "150/5s"')

    def __str__(self) -> str:
        return f"{self.amount}/{_plain_number(self.per_s)}s"


@dataclass(frozen=True, slots=True)
class Reserve:
    """A part of a quota that is set aside, written as a percentage ("5%")."""

    share: float

    @classmethod
    def parse(cls, value: object) -> Reserve:
        """Parse `"5%"` or a share such as 0.05; half at most, or no batch would fit beside it."""
        if isinstance(value, Reserve):
            return value
        share = math.nan
        if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
            share = float(match[1]) / 100
        else:
            with suppress(ValueError):
                share = parse_share(value)
        if not 0 <= share <= 0.5:  # NaN too
            raise ValueError('must be a percentage from 0% to 50%, such as "5%"')
        return cls(share)

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.share * 100:g}%"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that one run may do: so many, or a share of all whom it is about."""

    count: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, value: object) -> Ceiling:
        """Parse `100` or `"5%"`."""
        if isinstance(value, Ceiling):
            return value
        if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())) and float(match[1]) <= 100:
            return cls(share=float(match[1]) / 100)
        with suppress(ValueError):
            return cls(count=parse_count(value, least=0))
        raise ValueError('must be a number, or a percentage such as "5%"')

    def of(self, total: int) -> int:
        """Return how many that is of so many; of a share one at least, unless it is nothing."""
        if self.share is None:
            return self.count or 0
        return max(int(self.share * total + 1e-9), 1 if self.share else 0)  # 29 % of 100 are 29

    def __str__(self) -> str:
        """Return it as it is written."""
        return str(self.count) if self.share is None else f"{self.share * 100:g}%"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a connection sends, on top of the quotas.

    `quota`: as fast as the quotas allow. `smooth`: `per_minute` invitations a minute, evenly.
    `guarded`: starts at `per_minute` and doubles after each ten clean minutes.
    """

    kind: Literal["quota", "smooth", "guarded"] = "quota"
    per_minute: float | None = None

    @classmethod
    def parse(cls, value: object) -> Pace:
        """Parse `"quota"`, `"guarded"` or `"12/min"`."""
        if isinstance(value, Pace):
            return value
        if isinstance(value, str):
            text = value.strip()
            if text == "quota":
                return cls()
            if text == "guarded":
                return cls("guarded", GUARDED_PER_MINUTE)
            match = _PACE.fullmatch(text)
            if match and float(match[1]) > 0:
                return cls("smooth", float(match[1]))
        raise ValueError('must be "quota", "guarded" or a number of invitations a minute such as "12/min"')

    def __str__(self) -> str:
        if self.kind == "smooth" and self.per_minute is not None:
            return f"{_plain_number(self.per_minute)}/min"
        return self.kind


def _plain_number(number: float) -> str:
    """Return the shortest decimal form without an exponent, so that it can be parsed again."""
    return str(int(number)) if number == int(number) else format(Decimal(repr(number)), "f")


def parse_name(value: object) -> str:
    """Return what a connection or a schedule may be called."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise ValueError("must be a name of a-z, 0-9 and - (64 characters at most)")


def is_guid(text: str) -> bool:
    """Whether a text has the form of an id (11111111-2222-3333-4444-555555555555)."""
    return _GUID.fullmatch(text) is not None


def fold_domain(domain: str) -> str:
    """Return a domain in lower-case IDNA form. The same form that addresses are folded to, or no
    list would ever match.
    """
    lowered = unicodedata.normalize("NFC", domain).lower()
    if lowered.isascii():
        return lowered
    import idna  # 20 ms of tables that an ASCII name never needs

    try:
        return idna.encode(lowered, uts46=True).decode("ascii")
    except idna.IDNAError:
        return lowered


def parse_domain(value: object) -> str:
    """Return a domain folded to lower-case IDNA; a leading `@` is dropped. Wildcards mean nothing
    to Entra and are refused.
    """
    if isinstance(value, str):
        folded = fold_domain(value.strip().removeprefix("@"))
        if len(folded) <= 253 and _DOMAIN.fullmatch(folded):
            return folded
    raise ValueError("must be a plain domain name such as contoso.com (no wildcard; subdomains are listed one by one)")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host: an address, with or without brackets, or
    `localhost`. Another name may be anybody's.
    """
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def split_url(value: object, schemes: tuple[str, ...]) -> SplitResult:
    """Split an absolute URL with a host and one of `schemes`; blanks and control characters are
    refused, not dropped.

    `urlsplit` alone would silently take a tab or a newline out of the middle.
    """
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    fault = f"must be an absolute {wanted} URL with a host"
    if not isinstance(value, str) or any(c <= " " or c == "\x7f" for c in value):
        raise ValueError(fault)
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises when it is no number from 0 to 65535
        host = fold_domain(parts.hostname or "")
    except ValueError:
        raise ValueError(fault) from None
    if parts.scheme not in schemes or not (_HOST.fullmatch(host) or ":" in host):
        raise ValueError(fault)
    return parts


def parse_redirect_url(value: object) -> str:
    """Return an absolute http or https URL, as it was written."""
    split_url(value, ("https", "http"))
    assert isinstance(value, str)
    return value


def parse_service_url(value: object) -> tuple[str, str]:
    """Return (`host` or `host:port`, path without slashes at its ends) of an https URL with neither
    credentials nor query.

    Always https: a client secret and every token go this way.
    """
    parts = split_url(value, ("https",))
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an https:// URL without user name, query or fragment")
    host = fold_domain(parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    return (host if parts.port in (None, 443) else f"{host}:{parts.port}"), parts.path.strip("/")


REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+socket", "sentinel", "sentinels")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps")


def parse_server_url(value: object, schemes: tuple[str, ...]) -> str:
    """Return the URL of a Redis server or a broker, as it was written, when it can be one.

    A sentinel URL names the master: `sentinel://host:26379/mymaster/0`; more hosts follow after
    commas. With TLS, to the Sentinels and to the servers alike, it is `sentinels://`, and names the
    files for it in its query (`_SENTINEL_TLS`). There too stands a login of the Sentinels
    themselves (`_SENTINEL_LOGIN`).
    """
    listed = ", ".join(f"{scheme}://" for scheme in schemes)
    if not isinstance(value, str) or not value.strip() or any(ord(c) < 0x20 or ord(c) == 0x7F for c in value):
        raise ValueError(f"must be a URL that starts with one of {listed}")
    text = value.strip()
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in schemes:
        raise ValueError(f"must start with one of {listed}{did_you_mean(scheme, schemes) if colon else ''}")
    if scheme in ("unix", "redis+socket"):
        if not rest.partition("@")[2].startswith("/") and not rest.startswith("/"):
            raise ValueError(f"must name the socket with its full path, such as {scheme}:///run/redis.sock")
        return text
    encode = "; characters such as / # ? @ in a password must be percent-encoded"
    if scheme in ("sentinel", "sentinels"):
        _check_sentinel(scheme, rest.rpartition("@")[2], encode)
        return text
    try:
        parts = urlsplit(text)
        _ = parts.port
        good = bool(parts.hostname) and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"must have a host and, where it has a port, a number for it{encode}")
    _check_tls(scheme, parts.query)
    if scheme in ("redis", "rediss") and not re.fullmatch(r"/?[0-9]*/?", parts.path):
        raise ValueError(f"must end in the number of a database, such as {scheme}://host:6379/0{encode}")
    return text


def _check_tls(scheme: str, query: str) -> None:
    """Refuse what would switch off the check of the server's certificate or of its name."""
    asked = {name: value.lower() for name, value in parse_qsl(query, keep_blank_values=True)}
    if asked.get("ssl_cert_reqs", "required") not in ("required", "cert_required") or asked.get(
        "ssl_check_hostname", "true"
    ) not in ("true", "1", "yes"):
        raise ValueError(
            "must not switch off the check of the server's certificate: an authority of your own is named by"
            " SSL_CERT_FILE" + (" or ssl_ca_certs" if scheme == "rediss" else "")
        )
    if scheme == "amqps" and any(name.startswith("ssl") for name in asked):
        raise ValueError("must have no ssl option after its ?: an authority of your own is named by SSL_CERT_FILE")


_SENTINEL_LOGIN = ("sentinel_username", "sentinel_password")
_SENTINEL_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def _check_sentinel(scheme: str, place: str, encode: str) -> None:
    hosts, _, master = place.partition("?")[0].partition("/")
    if not hosts or not master.partition("/")[0]:
        raise ValueError(f"must name a host and the master, such as {scheme}://host:26379/mymaster/0{encode}")
    names = {name for name, _ in parse_qsl(place.partition("?")[2], keep_blank_values=True)}
    if scheme == "sentinel" and any(name.startswith("ssl") for name in names):
        raise ValueError("must start with sentinels:// for TLS, to the Sentinels and to Redis alike")
    known = _SENTINEL_LOGIN if scheme == "sentinel" else (*_SENTINEL_LOGIN, *_SENTINEL_TLS)
    if names - set(known):
        raise ValueError(f"must have nothing after its ? but {', '.join(known)}")


def mask_url(url: str) -> str:
    """Return a URL that may be shown: what stands before the last `@`, and passwords in the query,
    become `***`.
    """
    return _USERINFO.sub("***@", _QUERY_SECRET.sub(r"\1***", url))  # in this order: a password may hold an @
