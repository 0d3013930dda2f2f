"""Who does what this process does, as the operating system says it: an environment's USER is whatever somebody put there."""

from __future__ import annotations

import os
import pwd
import socket


def find_actor() -> str:
    """Return the account that runs this process, on this host: `ada@ops1`, and by whose `sudo` where it says so."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # no name for this user id, as in a container
        user = f"uid-{os.getuid()}"
    behind = os.environ.get("SUDO_USER", "")
    sudo = f" (sudo by {behind})" if behind and behind != user else ""
    return f"{user}@{socket.gethostname()}{sudo}"
