"""Who is told of a job: a webhook, or a Celery task of somebody's. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from config.values import is_loopback, split_url

_CELERY = re.compile(r"celery:([A-Za-z_][\w.-]{0,199})(?:@([\w.-]{1,100}))?")
_MOST = 2000
WANTED = "must be an https:// address, or celery:TASK or celery:TASK@QUEUE"


def parse_notify(value: object) -> str:
    """Return a target as it was written: `https://host/path`, `celery:app.told@queue`. Plain http is for loopback alone."""
    if not isinstance(value, str) or len(value) > _MOST:
        raise ValueError(WANTED)
    text = value.strip()
    if _CELERY.fullmatch(text):
        return text
    if not text.startswith(("https://", "http://")):
        raise ValueError(WANTED)
    parts = split_url(text, ("https", "http"))
    if "@" in parts.netloc:
        raise ValueError("must be an address without user name and password")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be an https:// address; plain http is for this machine alone")
    return text


def read_celery(target: str) -> tuple[str, str] | None:
    """Return task and queue (Celery's default where none is named); None for a webhook."""
    match = _CELERY.fullmatch(target)
    return (match[1], match[2] or "celery") if match else None


def target_fault(target: str, hosts: Collection[str], *, signed: bool) -> str:
    """Return half a sentence for a target that cannot be told as things are configured, '' for one that can."""
    if read_celery(target) is not None:
        return ""
    if not signed:
        return "needs notify.secret, which signs what a webhook is sent"
    host = urlsplit(target).hostname or ""
    return "is at a host that notify.hosts does not name" if hosts and host not in hosts else ""


def accept_target(value: object, hosts: Collection[str], *, signed: bool) -> str:
    """Return a target that can be told as things are configured. Raises ValueError with half a sentence."""
    target = parse_notify(value)
    if fault := target_fault(target, hosts, signed=signed):
        raise ValueError(fault)
    return target
