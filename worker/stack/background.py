"""One role's supervisor in a process of its own, for as long as commands need it. People who want
it to stay use `usher up`.

python -m worker.stack.background ROLE --lock-fd N

`launch` starts it, which took the lock and passes it on.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from worker.logs import set_up_small
from worker.stack.folders import Folders, StackError, find_folders
from worker.stack.last_words import open_log
from worker.stack.lockfile import adopt_lock, read_note
from worker.stack.presence import ROLES, Role
from worker.stack.private import build_server_spec
from worker.stack.processes import ChildSpec
from worker.stack.sandboxed import build_sandbox_spec
from worker.stack.server_program import choose_server_program
from worker.stack.supervisor import Supervisor, build_program_spec


def main(argv: list[str] | None = None) -> int:
    """Leave the process that started us, and run the role. Returns 1 when it could not be run; its
    lock's note says why then."""
    parser = argparse.ArgumentParser(prog="python -m worker.stack.background", description="Run usher's private stack.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--lock-fd", type=int, required=True, help="a descriptor that holds the supervisor's lock")
    options = parser.parse_args(argv)
    # A second fork, so that the command that started us is not our parent: it need not wait for us,
    # and we cannot become its zombie.
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    folders = find_folders(os.environ)
    lock = adopt_lock(folders.supervisor_lock_of(options.role), options.lock_fd)
    log = open_log(folders.log("supervisor"))
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    set_up_small()
    try:
        start = (read_note(lock.path) or {})["start"]
        spec = _build_spec(options.role, folders, start["argv"])
        asyncio.run(Supervisor(folders, lock, options.role, {options.role: spec}, os.environ).run())
        lock.clear_note()
    except StackError as error:
        logging.getLogger("usher.stack").error("%s", error)
        lock.write_note({"failed": str(error)})  # which the command that started us reads out
        return 1
    finally:
        if options.role == "sandbox":
            folders.sandbox_ready.unlink(missing_ok=True)
        lock.close()
    return 0


def _build_spec(role: Role, folders: Folders, argv: list[str]) -> ChildSpec:
    if role == "server":
        return build_server_spec(folders, choose_server_program(folders, os.environ), os.environ)
    if role == "sandbox":
        return build_sandbox_spec(folders, tuple(argv), os.environ)
    return build_program_spec(folders, role, argv, os.environ)


if __name__ == "__main__":
    sys.exit(main())
