"""The ledger's Lua scripts, one file each; what they share is put in front of each when it is loaded."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

_FOLDER = Path(__file__).parent


@cache
def source_of(name: str) -> str:
    """Return the text of one script as Redis gets it."""
    common = (_FOLDER / "_common.lua").read_text(encoding="utf-8")
    return common + (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


class Scripts:
    """The scripts registered with one client: `await scripts["tick"](keys=…, args=…)` (EVALSHA, loaded when missing)."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._known: dict[str, AsyncScript] = {}

    def __getitem__(self, name: str) -> AsyncScript:
        script = self._known.get(name)
        if script is None:
            script = self._known[name] = self._client.register_script(source_of(name))
        return script
