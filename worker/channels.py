"""A channel is one connection's work of one operation: gates, turns, doubts and back-off are a
channel's. Pure.

Its name is the connection's own for invitations, for everything else `connection+operation`; no
connection has a plus in its name. What holds a connection as a whole (`gates.WHOLE`) holds its
channels.
"""

from __future__ import annotations

INVITE = "invite"
"""The operation whose channel bears the connection's name alone, as it did before there were
others.
"""
NOBODYS = ""
"""What a job has for a connection that belongs to none: of a submission, the bad rows that are no
connection's. Nothing of it is ever sent, and it is in no connection's numbers.
"""


def name_channel(connection: str, operation: str) -> str:
    """Return a channel's name."""
    return connection if operation == INVITE else f"{connection}+{operation}"


def split_channel(name: str) -> tuple[str, str]:
    """Return a channel's connection and operation."""
    connection, plus, operation = name.partition("+")
    return connection, operation if plus else INVITE
