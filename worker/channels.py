"""A channel is one connection's work of one operation: gates, turns, doubts and back-off are a
channel's. Pure.

Its name is the connection's own for invitations, for everything else `connection+operation`; no
connection has a plus in its name. What holds a connection as a whole (`gates.WHOLE`) holds its
channels.
"""

from __future__ import annotations

INVITE = "invite"
"""The operation whose channel bears the connection's name alone: once there was no other."""
NOBODYS = ""
"""What a job has for a connection that belongs to none: of a submission, the bad rows that are no
connection's. Nothing of it is ever sent, and it is in no connection's numbers.
"""


def name_channel(connection: str, operation: str) -> str:
    """Return a channel's name."""
    return f"{connection}+{name}" if (name := name_operation(operation)) else connection


def name_operation(operation: str) -> str:
    """Return what is told of a job's operation; '' of an invitation, which each was before there
    were others.
    """
    return "" if operation == INVITE else operation


def describe_operation(operation: str) -> dict[str, str]:
    """Return the same as one of the fields of an object."""
    return {"operation": name} if (name := name_operation(operation)) else {}


def split_channel(name: str) -> tuple[str, str]:
    """Return a channel's connection and operation."""
    connection, plus, operation = name.partition("+")
    return connection, operation if plus else INVITE
