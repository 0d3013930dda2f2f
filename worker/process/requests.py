"""Nothing of a message's arguments reaches logs, events, Flower or `celery inspect`, whoever sent
it.

A producer's Celery describes the arguments in the message's headers (`argsrepr`, `kwargsrepr`),
which worker, events and Flower repeat: addresses among them. They are blanked when the message
arrives; usher's own messages describe themselves without any address. The message itself is
acknowledged, and so leaves the broker, as soon as the ledger has its rows.
"""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakValueDictionary

from celery import Task
from celery.exceptions import TaskPredicate
from celery.worker.request import Request

from worker.errors import UsherError
from worker.queues import OWN

# At DEBUG it prints each task's arguments as they are (celery/concurrency/base.py); nothing else
# comes from it.
logging.getLogger("celery.pool").setLevel(logging.INFO)


class TaskFailed(UsherError):
    """A task ended in an error that usher does not know; it stands for that error, without its
    text.
    """


class PrivateRequest(Request):
    """A message as the worker sees it, its description blanked unless it is one of the
    dispatcher's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = self.type  # a `shadow` name would be the producer's own words
        if self.type not in OWN:
            self._argsrepr, self._kwargsrepr = "(…)", "{…}"
            self._request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)
        _requests[self.id] = self

    def info(self, safe: bool = True) -> dict[str, Any]:
        """Describe it for `celery inspect` and Flower: never with the arguments themselves,
        whatever `safe` asks for.
        """
        return dict(super().info(safe=True))


_requests: WeakValueDictionary[str, PrivateRequest] = WeakValueDictionary()


def acknowledge(task_id: str) -> None:
    """Acknowledge the message of a running task before the task ends: the ledger has its rows, the
    broker need not keep them.

    From the task's thread, which is where Celery acknowledges too.
    """
    request = _requests.get(task_id)
    if request is not None:
        request.acknowledge()


class PrivateTask(Task):
    """Base of every task of usher."""

    Request = "worker.process.requests:PrivateRequest"

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run it. In a worker past Celery's own `__call__`, which ends in an exception where a
        producer names an argument `self`.
        """
        request = self.request_stack.top
        if request is None or request.called_directly:
            return super().__call__(*args, **kwargs)
        try:
            return self.run(*args, **kwargs)
        except (TaskPredicate, UsherError):
            raise
        # Logs, events and Flower repeat its text, which may name a guest; its place does not
        except Exception as error:  # noqa: BLE001
            raise TaskFailed(f"A fault of usher ({type(error).__name__}); the traceback says where.").with_traceback(
                error.__traceback__
            ) from None

    def apply_async(self, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        """Send the task; its description shows no arguments unless the sender gives one."""
        options.setdefault("argsrepr", "(…)")
        options.setdefault("kwargsrepr", "{…}")
        return super().apply_async(args, kwargs, *more, **options)
