"""A webhook is told of a job, and a message may name only some of them. Pure.

Who runs usher may name any target. Whoever may send a message makes a worker call that target from
inside the network, so a message names only what `notify.hosts` lists, and an address inside the
network is listed itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from config.values import fold_domain, is_loopback, split_url

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAT64 = ip_network("64:ff9b::/96")
_MOST = 2000
WANTED = "must be an https:// address; a program that speaks Celery asks usher.job instead"


def parse_notify(value: object) -> str:
    """Return a target as it was written: `https://host/path`. Plain http is for loopback alone."""
    if not isinstance(value, str) or len(value) > _MOST:
        raise ValueError(WANTED)
    text = value.strip()
    if not text.startswith(("https://", "http://")):
        raise ValueError(WANTED)
    parts = split_url(text, ("https", "http"))
    if "@" in parts.netloc:
        raise ValueError("must be an address without user name and password")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be an https:// address; plain http is for this machine alone")
    return text


def parse_host(value: object) -> str:
    """Return an entry of `notify.hosts`: a host's name, an address, a network (`10.1.0.0/16`)."""
    if isinstance(value, str):
        text = value.strip()
        try:
            return str(ip_network(text.strip("[]"), strict=False) if "/" in text else ip_address(text.strip("[]")))
        except ValueError:
            pass
        folded = fold_domain(text)
        if len(folded) <= 253 and _NAME.fullmatch(folded):
            return folded
    raise ValueError("must be a host's name, an address, or a network such as 10.1.0.0/16")


def target_fault(target: str, hosts: Collection[str], *, signed: bool) -> str:
    """Return half a sentence for a target that cannot be told as configured, '' if it can."""
    if not target.startswith(("https://", "http://")):
        return WANTED  # of a job that an earlier usher began
    if not signed:
        return "needs notify.secret, which signs what a webhook is sent"
    return "is at a host that notify.hosts does not name" if hosts and not _is_listed(_host(target), hosts) else ""


def message_fault(target: str, hosts: Collection[str], *, signed: bool) -> str:
    """Return half a sentence for a target that a message may not name, '' for one that it may."""
    if not hosts:
        return "needs notify.hosts, which lists whom messages may name; whoever runs usher sets it"
    return target_fault(target, hosts, signed=signed)


def may_call(address: str, hosts: Collection[str]) -> bool:
    """Whether a worker may call an address for a message: it is public, or listed itself."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _is_public(found) or _is_listed(str(found), hosts)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


def _host(target: str) -> str:
    return fold_domain(urlsplit(target).hostname or "").rstrip(".")


def _is_listed(host: str, hosts: Collection[str]) -> bool:
    if host in hosts:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any("/" in entry and address in ip_network(entry) for entry in hosts)


def accept_target(value: object, hosts: Collection[str], *, signed: bool) -> str:
    """Return a target that can be told as configured. Raises ValueError with half a sentence."""
    target = parse_notify(value)
    if fault := target_fault(target, hosts, signed=signed):
        raise ValueError(fault)
    return target


def accept_from_message(value: object, hosts: Collection[str], *, signed: bool) -> str:
    """Return a target that a message may name. Raises ValueError with half a sentence."""
    target = parse_notify(value)
    if fault := message_fault(target, hosts, signed=signed):
        raise ValueError(fault)
    return target
