"""A client secret is tried before a connection with it is written: whether Entra gives a token for
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from config.reader import parse_connection

if TYPE_CHECKING:
    from config.connections import Connection


def try_secret(name: str, table: Mapping[str, str], folder: Path) -> None:
    """Sign in as the connection of this table would, its relative paths starting at `folder`.
    Blocking; nothing is sent to Graph.

    Raises `TokenRefused` (it is no good), `TokenUnavailable` (nobody can say now), `ConfigError`.
    """
    asyncio.run(_sign_in(parse_connection(name, table, base=folder)))


async def _sign_in(connection: Connection) -> None:
    from worker.signin.tokens import TokenSource

    tokens = TokenSource()
    try:
        await tokens.get(connection, fresh=True)
    finally:
        await tokens.close()
