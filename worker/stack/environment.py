"""What a command wants its worker to run with, and whether a worker that runs already has it.

The worker of the private stack outlives the command that started it, so the next command may come
with another configuration file or another secret in its environment. An `Order` carries the
environment itself (it becomes the supervisor's, never a file) and what has to be the same for both
commands to share one worker. Of this a supervisor's note holds *marks*: salted, slow hashes, gone
when it ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.sources import find_file
from worker.stack.folders import Folders, make_absolute
from worker.stack.private import Urls

COMMAND_LINE = "the worker's command line"
FILE_TEXT = "what stands in the configuration file"
"""These two marks are no variable's name."""

_HASH_ROUNDS = 10_000
"""Some milliseconds a mark: a secret that could be guessed from its mark costs its finder as much
as from a file of passwords."""

_ROOT = Path(__file__).resolve().parents[2]
_REFERENCE = re.compile(r"""\benv:([A-Za-z_][A-Za-z0-9_]*)""")
_RELATIVE_FILE = re.compile(r"""\bfile:([^/,"\]][^,"\]]*)""")
_CONFIG = "USHER_CONFIG"
_OUR_OWN = frozenset({_CONFIG, "USHER_STATE_DIR", "USHER_GRACE_S", "USHER_ALIVE_FILE", "USHER_ACTOR"})
# What a process of the stack, or one attached to it, may have put into its own environment: the
# stack's to say, not a command's.
_FROM_STACK = frozenset({"USHER_REDIS_URL", "USHER_PRIVATE"})
_TRUST = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"})
_PROXIES = frozenset(
    spelt for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY") for spelt in (name, name.lower())
)
# What a process of the stack needs of its environment when it is not the one that runs a
# connection's work: no secret among it.
_PLAIN = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "USHER_GRACE_S"})
_PLAIN_STARTS = ("LC_", "XDG_", "PYTHON", "COVERAGE_", "LD_", "DYLD_", "USHER_SANDBOX_")


# -P: the working folder is no place to import from.
_CELERY = (sys.executable, "-P", "-m", "celery", "-A", "worker")


@dataclass(frozen=True, slots=True)
class Commands:
    """The command lines of the stack's children, as they stand unless a caller needs others.

    `sandbox` gets `--port 0 --ready-file … --state-dir … --parent-pid …` appended.
    """

    # Without mingle it is ready a second sooner; a private worker has no neighbours to ask.
    worker: tuple[str, ...] = (*(*_CELERY, "worker", "-n", "private@%h"), *("--without-mingle", "--without-gossip"))
    beat: tuple[str, ...] = (*_CELERY, "beat")
    flower: tuple[str, ...] = (*_CELERY, "flower")
    sandbox: tuple[str, ...] = (sys.executable, "-P", "-m", "sandbox")


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to be started with. The environment holds secrets: it is kept out of
    `repr`.
    """

    commands: Commands
    env: Mapping[str, str] = field(repr=False)
    shared: Mapping[str, str] = field(repr=False)
    """Name → value of what has to be the same, absent included."""
    secrets: Mapping[str, str] = field(repr=False)
    """Variable that the configuration refers to → value. A command without it can use a worker that
    has it."""
    makes_key: bool = True
    """Whether embedded mode's own ledger key is used: no other is configured."""

    def describe(self) -> dict[str, Any]:
        """Return what the next command compares itself with, as JSON types, without any value."""
        salt = os.urandom(16)
        marks, secrets = (_mark(values, salt) for values in (self.shared, self.secrets))
        return {"salt": salt.hex(), "config": self.env.get(_CONFIG), "marks": marks, "secrets": secrets}


def build_order(env: Mapping[str, str], folders: Folders, commands: Commands) -> Order:
    """Everything that a worker needs to see the world as a command in this environment and the
    current folder does.

    The worker runs in the state folder, so what is relative to the current folder is made absolute
    here.
    """
    config = find_file(env, None)
    carried = {name: _make_absolute(name, value) for name, value in env.items() if name not in _FROM_STACK}
    if str(folders.ledger_key) in carried.get("USHER_LEDGER__KEY", ""):
        del carried["USHER_LEDGER__KEY"]
    if config is not None:
        carried[_CONFIG] = str(make_absolute(config))
    text = _read_text(config)
    settings = {name: value for name, value in carried.items() if name.startswith("USHER_") and name not in _OUR_OWN}
    marked = settings | {name: value for name, value in carried.items() if name in _TRUST | _PROXIES}
    marked[_CONFIG] = carried.get(_CONFIG, "")
    marked |= {COMMAND_LINE: "\0".join(commands.worker), FILE_TEXT: text}
    referred = {name for source in (text, *settings.values()) for name in _REFERENCE.findall(source)}
    return Order(
        commands=commands,
        env=carried,
        shared={name: value for name, value in marked.items() if value},
        secrets={name: carried[name] for name in referred if name in carried},
        makes_key=not carried.get("USHER_LEDGER__KEY") and not _names_ledger_key(text),
    )


def find_differences(running: Mapping[str, Any], wanted: Order) -> list[str]:
    """Names of what a running worker would have to be restarted for, sorted; empty when the command
    can use it as it is.

    `running` is what `Order.describe` said of it.
    """
    salt = bytes.fromhex(running["salt"])
    marks, secrets = _mark(wanted.shared, salt), _mark(wanted.secrets, salt)
    names = {name for name in marks.keys() | running["marks"].keys() if running["marks"].get(name) != marks.get(name)}
    return sorted(names | {name for name, value in secrets.items() if running["secrets"].get(name) != value})


def tell_differences(running: Mapping[str, Any], wanted: Order, names: Sequence[str]) -> str:
    """Say what differs: a variable by its name, without its value; the configuration file by both
    paths, for it may be found, not named."""
    theirs, ours = running["config"], wanted.env.get(_CONFIG)
    files = f"the file {theirs}, here {ours or 'none'}" if theirs else f"no configuration file, here {ours}"
    return ", ".join(files if name == _CONFIG else name for name in names)


def build_stack_variables(urls: Urls) -> dict[str, str]:
    """Return the variables by which `load_settings` sees the private server."""
    variables = {"USHER_REDIS_URL": urls.redis_url, "USHER_PRIVATE": "1"}
    if urls.key_path is not None:
        # A list in JSON: as plain text, a comma in the path would end the reference.
        variables["USHER_LEDGER__KEY"] = json.dumps([f"file:{urls.key_path}"])
    return variables


def build_worker_env(order: Order, folders: Folders, urls: Urls) -> dict[str, str]:
    """The environment of a worker: the command's own, and the private server in it."""
    return dict(order.env) | build_stack_variables(urls) | _find_ourselves(order.env, folders)


def build_watcher_env(order: Order, folders: Folders, urls: Urls, *more: str) -> dict[str, str]:
    """The environment of beat and Flower, which sign in nowhere: an allow list, with usher's
    settings and none of the secrets they refer to.

    `more`: what else may begin a variable's name. The one secret among them is what a broker's URL
    of its own refers to.
    """
    secrets = order.secrets.keys() - _find_broker_variables(order.env)
    kept = {
        name: value
        for name, value in order.env.items()
        if (name in _PLAIN | _TRUST or name.startswith((*_PLAIN_STARTS, "USHER_", *more)) or name in order.secrets)
        and name not in secrets
    }
    return kept | build_stack_variables(urls) | _find_ourselves(order.env, folders)


def build_plain_env(env: Mapping[str, str], folders: Folders) -> dict[str, str]:
    """The environment of the supervisor and the server: what a program needs to run, and none of
    the command's secrets."""
    kept = {name: value for name, value in env.items() if name in _PLAIN or name.startswith(_PLAIN_STARTS)}
    return kept | _find_ourselves(env, folders)


def _find_ourselves(env: Mapping[str, str], folders: Folders) -> dict[str, str]:
    """The same state folder from any working folder, and our packages first (children start with
    `-P`: not from that folder)."""
    path = os.pathsep.join([str(_ROOT), *(entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry)])
    return {"USHER_STATE_DIR": str(folders.state), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _make_absolute(name: str, value: str) -> str:
    """Return a variable's value with its paths made absolute, where it may hold any."""
    if name in _TRUST or (name.startswith("USHER_CONNECTIONS__") and name.endswith("__CA_FILE")):
        return str(make_absolute(value)) if value else value
    if name.startswith("USHER_") and value.startswith(("file:", "[")):
        return _RELATIVE_FILE.sub(lambda match: f"file:{make_absolute(match[1])}", value)
    return value


def _find_broker_variables(env: Mapping[str, str]) -> set[str]:
    """Names of the variables that the broker's URL refers to: every process reads it at once."""
    text = env.get("USHER_BROKER_URL") or env.get("USHER_BROKER__URL") or ""
    if not text and (config := find_file(env, None)) is not None:
        with suppress(tomllib.TOMLDecodeError):
            broker = tomllib.loads(_read_text(config)).get("broker")
            text = str(broker.get("url", "")) if isinstance(broker, dict) else ""
    return set(_REFERENCE.findall(text))


def _read_text(config: Path | None) -> str:
    try:
        return config.read_text(encoding="utf-8", errors="replace") if config is not None else ""
    except OSError:
        return ""  # whoever loads the settings says what is wrong with it


def _names_ledger_key(text: str) -> bool:
    try:
        ledger = tomllib.loads(text).get("ledger")
    except tomllib.TOMLDecodeError:
        return False
    return isinstance(ledger, dict) and bool(ledger.get("key"))


def _mark(values: Mapping[str, str], salt: bytes) -> dict[str, str]:
    return {
        name: hashlib.pbkdf2_hmac("sha256", value.encode(errors="surrogateescape"), salt, _HASH_ROUNDS).hex()
        for name, value in values.items()
    }
