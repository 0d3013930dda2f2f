from __future__ import annotations

import subprocess
import sys

MODULES = (
    "folders",
    "lockfile",
    "last_words",
    "processes",
    "keeper",
    "private",
    "environment",
    "sandboxed",
    "presence",
    "supervisor",
    "background",
    "launch",
    "attachment",
    "foreground",
)
HEAVY = {"celery", "kombu", "aiohttp", "msal", "redis", "pydantic"}


def test_the_private_stack_imports_nothing_heavy() -> None:
    """A command that only attaches pays for files and JSON, and the supervisor stays small."""
    code = f"import sys; {'; '.join(f'import worker.stack.{name}' for name in MODULES)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
