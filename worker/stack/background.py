"""The private stack in a process of its own, for as long as commands need it. People who want it to stay use `usher up`.

python -m worker.stack.background --lock-fd N      started by `attachment`, which took the lock and passes it on
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from worker.logs import set_up_small
from worker.stack.folders import StackError, find_folders
from worker.stack.last_words import open_log
from worker.stack.lockfile import adopt_lock
from worker.stack.supervisor import supervise


def main(argv: list[str] | None = None) -> int:
    """Leave the process that started us, and run the stack. Returns 1 when it could not be run; its log's last line says why."""
    parser = argparse.ArgumentParser(prog="python -m worker.stack.background", description="Run usher's private stack.")
    parser.add_argument("--lock-fd", type=int, required=True, help="a descriptor that holds the supervisor's lock")
    options = parser.parse_args(argv)
    # A second fork, so that the command that started us is not our parent: it need not wait for us, and we cannot become its zombie.
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    folders = find_folders(os.environ)
    lock = adopt_lock(folders.supervisor_lock, options.lock_fd)
    log = open_log(folders.log("supervisor"))
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    set_up_small()
    try:
        asyncio.run(supervise(folders, lock, os.environ))
    except StackError as error:
        # The last line of the log is what the command that started us reads out.
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        lock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
