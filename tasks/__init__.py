"""People and programs ask for what is here. Inside this project: `from tasks import invite_guest,
invite_guests`.

These two Celery tasks are loaded when first used (PEP 562): `usher --help` needs no Celery. Begin
reading at `submit.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.messages.invite import invite_guest, invite_guests

__all__ = ["invite_guest", "invite_guests"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("tasks.messages.invite"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
