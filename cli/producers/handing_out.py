"""A producer is handed out what it needs to reach usher: its token, and where Redis or RabbitMQ
serve others a login of its own there, with the rights that go with it.
"""

from __future__ import annotations

import hashlib
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tasks.producer_logins import rabbit_commands, redis_user
from worker.producers import own_ids

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Login:
    """A producer's login at the servers. `commands`: those that make it at RabbitMQ, where that is
    the broker.
    """

    user: str
    """Its line for Redis."""
    url: str
    """How it reaches Redis, PASSWORD in place of its password; '' where a URL cannot say it."""
    broker_url: str = ""
    """How it reaches RabbitMQ, likewise."""
    commands: tuple[str, ...] = ()
    password: str = field(default="", repr=False)


def find_login(settings: Settings, name: str, password_file: Path) -> Login | None:
    """Return a new login for a producer; None where the only server is private to this machine."""
    if settings.redis.url is None:
        return None
    password = secrets.token_hex(24)
    digest = hashlib.sha256(password.encode()).hexdigest()
    by_name = urlsplit(settings.redis.url).scheme in ("redis", "rediss")
    url = _as_user(settings.redis.url, name) if by_name else ""
    broker_url, commands = "", tuple[str, ...]()
    if _by_rabbit(settings):
        host = unquote(urlsplit(settings.broker.url or "").path[1:]) or "/"
        broker_url = _as_user(settings.broker.url or "", name)
        commands = rabbit_commands(name, shlex.quote(host), shlex.quote(str(password_file)))
    return Login(redis_user(name, settings.ledger.prefix, digest), url, broker_url, commands, password)


def _as_user(url: str, name: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:PASSWORD@{parts.netloc.rpartition('@')[2]}", query="").geturl()


def show_way(terminal: Terminal, name: str, table: str, login: Login | None, password_file: Path) -> None:
    """Tell whoever added a producer what to give it, and what to put where; lines to be copied
    stand by themselves.
    """
    terminal.show("", "Its lines there:")
    _copy(terminal, *table.rstrip().split("\n"))
    terminal.show("", "Over HTTP (docs/http.md) it sends its token with each request:")
    _copy(terminal, "Authorization: Bearer TOKEN")
    if login is None:
        terminal.show("", "Redis is private to this machine here, so no other program reaches it: HTTP is its way.")
        return
    ids = f"task ids that begin with {own_ids(name)}"
    terminal.show("", f"By Celery (docs/producers.md) it sends the token in the header usher_token, with {ids}.")
    terminal.show(f"Its PASSWORD at the servers is in {password_file} (0600). It reaches Redis as")
    _copy(terminal, login.url or f"the user {name} (docs/producers.md, Where to send)")
    terminal.show("once this line is in Redis's file of users (aclfile), and ACL LOAD has taken it:")
    _copy(terminal, login.user)
    if login.commands:
        terminal.show("It reaches RabbitMQ, where its messages go, as")
        _copy(terminal, login.broker_url)
        terminal.show("once these two commands were run there:")
        _copy(terminal, *login.commands)


def password_beside(token_file: Path) -> Path:
    """Return the file of a producer's password at the servers: beside its token."""
    return token_file.with_name(f"{token_file.name.removesuffix('.token')}.password")


def tell_end(name: str, settings: Settings) -> str:
    """Return how a producer's login at the servers is taken away, '' where there is none."""
    if settings.redis.url is None:
        return ""
    told = f"If it has a login: take the user {name} out of Redis's file of users, then ACL LOAD"
    return told + (f", and rabbitmqctl delete_user {name}." if _by_rabbit(settings) else ".")


def _by_rabbit(settings: Settings) -> bool:
    return (settings.broker.url or "").startswith("amqp")


def _copy(terminal: Terminal, *lines: str) -> None:
    for line in lines:
        terminal.show_line(f"    {line}")
