"""A directory that outlives its process: every change of a user or group appended to one file, read
back at the next start.

Only with `--state-dir`, as the private stack gives it: there the sandbox ends with each command,
and a second run of a list must find the guests of the first. The last line about an object wins; a
half-written last line (the process was killed) is dropped.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson

from sandbox.directory import Directory, Tenant, User
from sandbox.groups import Group
from sandbox.recorder import BY_SMTP, Recorder

_FIELDS = frozenset(field.name for field in fields(User))


def restore(path: Path, directory: Directory, recorder: Recorder) -> None:
    """Bring a fresh directory to the state that a journal describes; no file is an empty one."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            entry = orjson.loads(line)
        except ValueError:
            continue
        if entry.get("tenant_id") == BY_SMTP:
            recorder.count_mail(None, entry["mailed"])
            continue
        tenant = directory.tenants.get(entry.get("tenant_id"))  # none: the journal of another seed
        if tenant is not None:
            _apply(entry, tenant, recorder)


def _read_user(saved: dict[str, Any]) -> User:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in saved.items() if key in _FIELDS
    }
    user = User(**values)
    user.settle()  # its lag was over while nothing ran
    return user


def _apply(entry: dict[str, Any], tenant: Tenant, recorder: Recorder) -> None:
    if address := entry.get("mailed"):
        recorder.count_mail(tenant, address)
        return
    if "members_of" in entry:
        if (group := tenant.groups.get(entry["members_of"])) is not None:
            group.members.update(dict.fromkeys(entry["joined"]))
            for name in entry["left"]:
                group.members.pop(name, None)
        return
    if saved := entry.get("group"):
        known = tenant.groups.get(saved["id"])
        tenant.add_group(
            Group(**{**saved, "owners": tuple(saved.get("owners", ())), "members": known.members if known else {}})
        )
        return
    saved = entry.get("user")
    user_id = str(saved["id"] if saved else entry.get("purged"))
    there, binned = tenant.users.get(user_id), tenant.deleted.pop(user_id, None)
    if there is not None:
        tenant.take_out(there)
    if saved:
        user = _read_user(saved)
        if user.deleted_at:
            tenant.deleted[user.id] = user
            tenant.removed += there is not None
        else:
            tenant.add(user)
    elif former := there or binned:
        tenant.removed += there is not None
        tenant.purge(former)
