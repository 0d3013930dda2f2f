"""Who does what this process does, as the operating system says it: an environment's USER is whatever somebody put there."""

from __future__ import annotations

import os
import pwd
import socket

from worker.approval import Person


def find_person() -> Person:
    """Return the account that runs this process, on this host, and by whose `sudo` where it says so."""
    behind = os.environ.get("SUDO_USER", "")
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # no name for this user id, as in a container
        user = f"uid-{os.getuid()}"
    return Person(user, socket.gethostname(), "" if behind == user else behind)


def find_actor() -> str:
    """Return the same for the audit trail: `ada@ops1`, `root@ops1 (sudo by ada)`."""
    person = find_person()
    return f"{person} (sudo by {person.behind})" if person.behind else str(person)
