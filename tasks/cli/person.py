"""Who sits at the keyboard, as the operating system says it: the environment's USER is whatever somebody put there."""

from __future__ import annotations

import os
import pwd
import socket

from worker.approval import Person


def find_person() -> Person:
    """Return the account that runs this command, on this host."""
    behind = os.environ.get("SUDO_USER", "")
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # no name for this user id, as in a container
        user = f"uid-{os.getuid()}"
    return Person(user, socket.gethostname(), "" if behind == user else behind)
