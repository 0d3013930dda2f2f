"""Settings follow their files: a changed configuration, or a file it refers to, counts within a few
seconds.

A file is believed only when two looks in a row saw it unchanged: somebody may be writing it, and
half a TOML file is often a good one with connections missing. Nor is a list of connections that
has lost every line. Until there is something to believe, the last good settings stay in force.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path

from config.errors import ConfigError
from config.reader import load_settings
from config.settings import Settings

SECOND_LOOK_S = 0.5
"""How soon after a change was seen the file is looked at again, if anybody asks then; `interval_s`
if that is shorter.
"""

_Stamp = tuple[int, int, int, int, int] | None


class Watched:
    """The settings in force, re-read when needed. Cheap: a few `stat` calls every `interval_s`
    seconds at most. Thread-safe.

    The first read is made when `settings` is first asked for, and raises ConfigError if it fails;
    later ones never raise. With `interval_s` = 2 a change counts within 4 s for whoever asks at
    least every 2 s.
    """

    def __init__(
        self,
        load: Callable[[], Settings] = load_settings,
        interval_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._look_at = 0.0
        self._believed: dict[Path, _Stamp] = {}
        self._seen: dict[Path, _Stamp] = {}
        self._problem: str | None = None
        self._generation = 0

    @property
    def settings(self) -> Settings:
        """The settings in force. Looks at the files when it is time to; raises ConfigError only
        where there are none yet.
        """
        if self._settings is None:
            with self._lock:
                if self._settings is None:
                    return self._first()
        if self._clock() >= self._look_at and self._lock.acquire(blocking=False):  # one thread looks, none waits for it
            try:
                self._look()
            finally:
                self._lock.release()
        return self._settings

    @property
    def problem(self) -> str | None:
        """Why the files as they are now are not believed (a line each fault), None when all is
        well. Looks when it is time to.
        """
        _ = self.settings
        return self._problem

    @property
    def generation(self) -> int:
        """Goes up by one whenever the settings were read anew: what was derived from them, or from
        a secret, may be stale.
        """
        return self._generation

    def _first(self) -> Settings:
        settings = self._load()
        if self._load is load_settings and settings.source is not None:
            # From now on this very file: another found in its absence, or from another folder,
            # would be another configuration.
            self._load = functools.partial(load_settings, path=settings.source)
        self._believe(settings, _stamps(settings))
        return settings

    def _look(self) -> None:
        settings = self._settings
        assert settings is not None
        self._look_at = self._clock() + self._interval_s
        stamps = _stamps(settings)
        if stamps == self._believed and self._problem is None:
            return
        if stamps != self._seen:
            self._seen = stamps
            self._look_at = self._clock() + min(self._interval_s, SECOND_LOOK_S)
            return
        problem = _emptiness(settings.source)
        if problem is None:
            try:
                found = self._load().keeping(settings)
                problem = _loss(settings, found)
            except ConfigError as error:
                problem = str(error)
            else:
                if problem is None:
                    self._believe(found, stamps)
                    return
        self._problem = problem

    def _believe(self, settings: Settings, stamps: dict[Path, _Stamp]) -> None:
        # The stamps are older than the reading: what changed in between is seen as a change at the
        # next look.
        for path in _paths(settings):
            stamps.setdefault(path, _stamp(path))
        self._believed = self._seen = {path: stamps[path] for path in _paths(settings)}
        self._settings = settings
        self._problem = None
        self._generation += 1
        self._look_at = self._clock() + self._interval_s


def _paths(settings: Settings) -> tuple[Path, ...]:
    own = (settings.source,) if settings.source is not None else ()
    return (*own, *settings.referenced_files)


def _stamps(settings: Settings) -> dict[Path, _Stamp]:
    return {path: _stamp(path) for path in _paths(settings)}


def _stamp(path: Path) -> _Stamp:
    """Return what changes when a file does; None where there is none to see. The change time
    notices a repaired permission.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_ctime_ns


def _emptiness(source: Path | None) -> str | None:
    """Return a sentence when the file holds nothing: a fresh worker may run without settings, a
    running one lost them.
    """
    if source is None:
        return None
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        return f"{source}: there is no such file any more."
    except OSError:
        return None  # loading says it better
    return None if content.strip() else f"{source}: the file is empty."


def _loss(before: Settings, found: Settings) -> str | None:
    """Return a sentence when a list of connections cannot be read (any more), or has lost all of
    them, or the end of a line.
    """
    if found.unread and not before.unread:
        return "\n".join(found.listed.unread[:-1] if found.listed else ())
    if not (before.listed and before.listed.connections and found.listed):
        return None
    if before.listed.ends_whole and not found.listed.ends_whole:
        return (
            f"{found.listed.path}: its last line has no line break at its end, so the list may be cut off there."
            " Nothing of it counts until it is whole; if it is, end the last line with a line break."
        )
    if found.listed.connections:
        return None
    return (
        f"{found.listed.path}: the list has no line any more, where {len(before.listed.connections):,} stood. If that"
        " is meant, take connections_file out of the configuration."
    )
