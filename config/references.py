"""A reference says where a secret is found: `env:NAME` or `file:/path`. The configuration holds the
reference, never the secret.

A reference is resolved where it is used and each time anew, so a producer runs without the worker's
secrets and a rotated file counts from the next use.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from config.errors import ReferenceError_
from config.secrets import Secret
from config.values import is_guid

MAX_BYTES = 1 << 20
"""Largest file that is read as a secret: a PFX with its chain is some 10 kB, a wrong path may be a
log of gigabytes.
"""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed `env:NAME` or `file:/path`.

    `text` is the reference as written (safe to show), `target` the variable's name or the file's
    absolute path, `key` the setting that holds it, for messages. Two references to the same place
    are equal whatever key they stand under.
    """

    WANTED: ClassVar = "must be env:NAME or file:/path; a literal in the file would be a leak"

    kind: Literal["env", "file"]
    target: str
    text: str = field(compare=False)
    key: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str, *, base: Path | None = None, key: str = "") -> Reference:
        """Parse a reference; a relative path starts at `base` (the folder of the configuration
        file; else the current one).

        Raises ValueError with half a sentence ("must be ...") that never repeats the text, which
        may be a secret in the wrong place.
        """
        kind, colon, target = text.partition(":")
        if not colon or kind not in ("env", "file"):
            raise ValueError(cls.WANTED)
        if kind == "env":
            if not _VARIABLE.fullmatch(target):
                raise ValueError("must name an environment variable after env: (letters, digits and _)")
            return cls("env", target, text, key)
        if not target or any(ord(c) < 0x20 or ord(c) == 0x7F for c in target):
            raise ValueError("must name a file after file: (absolute, or relative to the configuration file)")
        return cls("file", os.path.normpath((base or Path.cwd()) / target), text, key)

    @property
    def path(self) -> Path | None:
        """The file referred to; None for a variable."""
        return Path(self.target) if self.kind == "file" else None

    def resolve(self, env: Mapping[str, str] | None = None) -> Secret:
        """Return the text behind the reference, one trailing newline removed. Reads the file or
        variable now.

        Raises `ReferenceError_` with one sentence naming the key and the reference: missing, empty,
        unreadable, not UTF-8.
        """
        value: str | None = None
        if self.kind == "env":
            value = (os.environ if env is None else env).get(self.target)
            if value is None:
                raise self._fault("which is not set in this process's environment")
        else:
            content = self._read()
            with suppress(UnicodeDecodeError):  # which holds the bytes: no fault is raised in it
                value = content.decode("utf-8-sig")  # editors on Windows put a byte order mark in front
            if value is None:
                raise self._fault("which is not UTF-8 text")
        value = value.removesuffix("\n").removesuffix("\r")
        if not value.strip():
            raise self._fault("which is empty")
        return Secret(value)

    def resolve_bytes(self, env: Mapping[str, str] | None = None) -> bytes:
        """Return the bytes behind the reference, unchanged. Raises as `resolve` does."""
        if self.kind == "env":
            return self.resolve(env).reveal().encode("utf-8", "surrogateescape")
        content = self._read()
        if not content.strip():
            raise self._fault("which is empty")
        return content

    def _read(self) -> bytes:
        try:
            with open(self.target, "rb", opener=open_without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise self._fault("which is not a regular file")
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise self._fault("which does not exist") from None
        except IsADirectoryError:
            raise self._fault("which is a directory") from None
        except PermissionError:
            raise self._fault("which this process may not read") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise self._fault(f"which cannot be read ({reason or 'unusable path'})") from None
        if len(content) > MAX_BYTES:
            raise self._fault("which is larger than 1 MiB and so is no secret")
        return content

    def _fault(self, what: str) -> ReferenceError_:
        return ReferenceError_(f"{self.key or 'A setting'} refers to {self.text}, {what}.")

    def __repr__(self) -> str:
        return f"Reference({self.text!r})"

    def __str__(self) -> str:
        return self.text


_IDENTITY = "managed_identity:"


@dataclass(frozen=True, slots=True)
class AssertionSource:
    """Where a client assertion comes from: a file that somebody rotates, or a managed identity by
    its client id. `text`: as written.
    """

    WANTED: ClassVar = "must be file:/path or managed_identity:CLIENT_ID"

    text: str = field(compare=False)
    file: Reference | None = None
    identity: str = ""

    @classmethod
    def parse(cls, text: str, *, base: Path | None = None, key: str = "") -> AssertionSource:
        """Parse `file:/path` or `managed_identity:ID`. Raises ValueError with half a sentence."""
        if text.startswith(_IDENTITY):
            identity = text.removeprefix(_IDENTITY).strip()
            if not is_guid(identity):
                raise ValueError("must name a managed identity by its client id after managed_identity:")
            return cls(text, identity=identity.lower())
        if not text.startswith("file:"):
            raise ValueError(cls.WANTED)
        return cls(text, Reference.parse(text, base=base, key=key))

    def __str__(self) -> str:
        return self.text


def open_without_waiting(path: str, flags: int) -> int:
    """Open without blocking on a named pipe nobody writes to; the caller then refuses what is not a
    regular file.
    """
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
