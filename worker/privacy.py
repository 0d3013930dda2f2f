"""Nothing of a message's arguments reaches logs, events or Flower, whoever sent it.

A producer's Celery describes the arguments in the message's headers (`argsrepr`, `kwargsrepr`), which worker, events and Flower repeat:
addresses among them. They are blanked when the message arrives; usher's own messages describe themselves without any address.
"""

from __future__ import annotations

from typing import Any

from celery import Task
from celery.worker.request import Request

_OURS = ("usher.run_chunk", "usher.settle")


class PrivateRequest(Request):
    """A message as the worker sees it, its description blanked unless it is one of the dispatcher's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.name not in _OURS:
            self._argsrepr, self._kwargsrepr = "(…)", "{…}"


class PrivateTask(Task):
    """Base of every task of usher."""

    Request = "worker.privacy:PrivateRequest"

    def apply_async(self, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        """Send the task; its description shows no arguments unless the sender gives one."""
        options.setdefault("argsrepr", "(…)")
        options.setdefault("kwargsrepr", "{…}")
        return super().apply_async(args, kwargs, *more, **options)
