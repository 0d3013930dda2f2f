"""The machinery: Celery app, Graph client, tokens, quota, ledger. `celery -A worker …` finds `app`
here, loaded when asked for.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Load the Celery app on demand: most modules of this package are used without it."""
    if name in ("app", "celery"):
        from worker.app import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
