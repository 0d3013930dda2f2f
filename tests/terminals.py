"""Commands at a terminal of their own, and somebody who types."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.processes import deadline_of, quick_usher


class Terminal:
    """A command at a terminal of its own, and somebody who types."""

    def __init__(self, env: Mapping[str, str], folder: Path, *arguments: str, start: Sequence[str] = ()) -> None:
        self.text = ""
        self._fd, theirs = pty.openpty()
        self._process = subprocess.Popen(
            (*(start or quick_usher()), *arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**env, "TERM": "xterm"},
            cwd=folder,
            start_new_session=True,
        )
        os.close(theirs)

    def read_until(self, wanted: str, within_s: float = 30.0) -> str:
        """Read until something is on the screen; returns all of it without colours."""
        deadline_s = deadline_of(within_s)
        while wanted not in self.text:
            assert time.monotonic() < deadline_s, self.text
            assert self._read(0.2) or wanted in self.text, self.text
        return self.text

    def type(self, text: str) -> None:
        """Type."""
        os.write(self._fd, text.encode())

    def kill(self) -> None:
        """Kill the command, as nothing can catch."""
        self._process.kill()

    def is_running(self, wait_s: float) -> bool:
        """Whether the command is still there after so long at most."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        return self._process.poll() is None

    def wait(self, within_s: float = 40.0) -> int:
        """Read until the command ends; returns its status."""
        deadline_s = deadline_of(within_s)
        while self._read(0.2):
            assert time.monotonic() < deadline_s, self.text
        status = self._process.wait(60)
        os.close(self._fd)
        return status

    def _read(self, wait_s: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], wait_s)
        if not ready:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: nobody has the other end open any more
            data = b""
        self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", data.decode(errors="replace"))
        return bool(data)
