"""The ledger's Lua scripts are loaded here, one file each; of what they share each has in front of
it what it uses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from worker.store.autopipe import AutoPipeline, pipeline_of

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from worker.ledger.keys import Keys

_FOLDER = Path(__file__).parent
_DEFINITIONS = re.compile(r"^(?=local )", re.MULTILINE)
_NAMES = re.compile(r"local (?:function )?([\w, ]+)")
_COMMENT = re.compile(r"--.*")


@cache
def source_of(name: str) -> str:
    """Return the text of one script as Redis gets it: behind those of the shared definitions that
    it uses, for each is made anew by every call.
    """
    parts = [(_FOLDER / f"{name}.lua").read_text(encoding="utf-8")]
    used = _words(parts[0])
    for definition in reversed(_shared()):  # each uses only those above it
        if not used.isdisjoint(names_of(definition)):
            parts.append(definition)
            used |= _words(definition)
    return "".join(reversed(parts))


@cache
def _shared() -> tuple[str, ...]:
    """Return the definitions of the files that scripts share, in their order."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(_FOLDER.glob("_*.lua"))]
    return tuple(part for text in texts for part in _DEFINITIONS.split(text)[1:])


def names_of(definition: str) -> list[str]:
    """Return the names that a shared definition gives."""
    found = _NAMES.match(definition)
    return re.findall(r"\w+", found[1]) if found else []


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", _COMMENT.sub("", text)))


class Script:
    """One script. redis-py's own does the same by a longer way, which shows where it is called for
    every batch.
    """

    def __init__(self, pipeline: AutoPipeline, source: str) -> None:
        self._pipeline = pipeline
        self._source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()  # how Redis names it

    async def __call__(self, keys: Sequence[str], args: Iterable[Any] = ()) -> Any:
        """Run it; a server that does not know it (a new one) is given its text first."""
        call = ("EVALSHA", self.sha, len(keys), *keys, *args)
        try:
            return await self._pipeline.call(*call)
        except NoScriptError:
            await self._pipeline.call("SCRIPT LOAD", self._source)
            return await self._pipeline.call(*call)


class Scripts:
    """The scripts of one client, by name: `await scripts["tick"](keys=…, args=…)`."""

    def __init__(self, client: Redis) -> None:
        self._client: Any = client
        self._pipeline = pipeline_of(client)
        self._known: dict[str, Script] = {}

    def __getitem__(self, name: str) -> Script:
        script = self._known.get(name)
        if script is None:
            script = self._known[name] = Script(self._pipeline, source_of(name))
        return script

    async def run_together(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run one script once for each (keys, args), in a transaction: all of them, or none where
        this process is killed.
        """
        if len(calls) == 1:
            return [await self[name](*calls[0])]
        (first_keys, first_args), *others = calls
        sha = self[name].sha
        async with self._client.pipeline(transaction=True) as pipe:
            # Its text goes with the first: within a transaction nobody can load what is missing
            pipe.execute_command("EVAL", source_of(name), len(first_keys), *first_keys, *first_args)
            for keys, args in others:
                pipe.execute_command("EVALSHA", sha, len(keys), *keys, *args)
            replies: list[Any] = await pipe.execute()
        return replies


class InLedger:
    """Something that lies in the ledger, over one Redis client, read and changed by scripts."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client: Any = client  # Any: redis-py's types say bytes or text of every reply; ours are bytes
        self._keys = keys
        self._scripts = Scripts(client)


def to_ms(seconds: float) -> int:
    """Return seconds as the scripts count: in whole milliseconds."""
    return round(seconds * 1000)
