"""Files are written whole or not at all, and 0600: results hold addresses and redeem links."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final

from tasks.errors import OutputError

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Of a disk, or of whoever writes to it."""
_FULL: Final = (
    " Nothing is lost, and no half of a file was left: make room or name a file on another disk, then give the command"
    " again."
)


def save_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], int]) -> int:
    """Have `write` fill a file and return what it returns. An existing file keeps its content until
    the new one is complete.

    A device or a pipe is written to directly. Raises `OutputError` where the file cannot be
    written; what else `write` raises passes.
    """
    with _reporting(path):
        target = Path(path).resolve()  # a link goes on pointing at the results
        if target.exists() and not target.is_file():  # /dev/stdout must not be replaced by a file
            stream: IO[bytes] = target.open("wb", buffering=0)
            temporary = None
        else:
            descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".usher-", suffix=".part")  # 0600
            stream = os.fdopen(descriptor, "wb", buffering=0)
    try:
        with ExitStack() as closing:
            closing.callback(_close, stream, path)
            buffered = io.BufferedWriter(_Reporting(stream, path), 1 << 16)
            count = write(buffered)
            buffered.flush()
            if temporary is not None:
                with _reporting(path):
                    os.fsync(stream.fileno())
        if temporary is not None:
            with _reporting(path):
                Path(temporary).replace(target)
    except BaseException:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise
    return count


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `OutputError` where a file could not be written, before anybody waits for it."""
    with _reporting(path):
        target = Path(path).resolve()
        if not target.exists() or target.is_file():
            tempfile.TemporaryFile(dir=target.parent).close()


class _Reporting(io.RawIOBase):
    """Writes to a file and turns only the file's errors into ours: a lost Redis behind the outcomes
    is an OSError, too.
    """

    def __init__(self, stream: IO[bytes], path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._stream = stream
        self._path = path

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        with _reporting(self._path):
            return self._stream.write(data)


@contextmanager
def _reporting(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        full = isinstance(error, OSError) and error.errno in NO_ROOM
        raise OutputError(f"{os.fspath(path)} cannot be written: {reason}.{_FULL if full else ''}") from None


def _close(stream: IO[bytes], path: str | os.PathLike[str]) -> None:
    with _reporting(path):
        stream.close()
