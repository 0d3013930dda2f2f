"""A new connection gets its credential: made here, taken unseen, or referred to; and tried, as far
as that is possible beforehand.

What is known of the connection so far is in `Answers`; each question has an option, by which a
script answers it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.values import is_guid
from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from worker.signin.new_certificate import NewCertificate
    from worker.signin.places import Vouching

_SECRET_BYTES = 8192
_STDIN = "-"


@dataclass(slots=True)
class Answers:
    """What is known of the connection so far, as its table will hold it, and what was made."""

    name: str
    table: dict[str, str] = field(default_factory=dict)
    made: list[Path] = field(default_factory=list)
    upload: Path | None = None
    certificate: NewCertificate | None = None
    credential: str = ""
    doubt: str = ""
    """Why nobody could say whether it works; '' where that was not so."""
    tried: bool = False
    """Whether Entra gave a token for its secret."""
    vouching: Vouching | None = None
    """Where usher runs, if that may vouch for it."""


def ask(
    terminal: Terminal, given: str | None, option: str, question: str, check: Callable[[str], str], proposed: str = ""
) -> str:
    """Return an answer that `check` accepts (it raises ValueError with a sentence): the option's,
    or asked for until it is one. `proposed` is taken where nothing is typed.
    """
    if given is not None:
        try:
            return check(given)
        except ValueError as error:
            raise Refusal(f"{option}: {error} Nothing was written.") from None
    if not terminal.interactive:
        raise Refusal(f"{option} is missing, and there is no terminal to ask on; nothing was written.")
    while True:
        answer = terminal.ask(f"{question} [{proposed}]" if proposed else question) or proposed
        if not answer:
            raise Refusal("No answer; nothing was written.")
        try:
            return check(answer)
        except ValueError as error:
            terminal.warn(str(error))


def find_credential(terminal: Terminal, answers: Answers, given: dict[str, Any], folder: Path) -> None:
    """Make, take or refer to the credential."""
    path, variable = given["secret_file"], given["secret_env"]
    for key in ("managed_identity", "client_assertion"):
        if given[key]:
            option = f"--{key.replace('_', '-')}"
            ask(terminal, given[key], option, "", partial(_use_platform, answers, key, folder))
            return
    if variable:
        ask(terminal, variable, "--secret-env", "", lambda name: _use_variable(answers, name, folder))
    elif given["certificate_file"]:
        _use_certificate(answers, Path(given["certificate_file"]), given["certificate_password"])
    elif path == _STDIN:
        text = sys.stdin.readline(_SECRET_BYTES)
        ask(terminal, text, "--secret-file", "", lambda secret: _take_secret(answers, secret, folder))
    elif path is not None:
        ask(terminal, path, "--secret-file", "", lambda named: _use_secret(answers, named, folder))
    elif not given["makes_certificate"] and _uses_vouching(terminal, answers, folder):
        return
    elif given["makes_certificate"] or _wants_certificate(terminal):
        make_own_certificate(answers, given["days"], folder)
    else:
        question = "Client secret, its Value (not shown):"
        with terminal.unseen():
            ask(terminal, None, "--secret-file", question, lambda text: _take_secret(answers, text, folder))
        terminal.say()


def _uses_vouching(terminal: Terminal, answers: Answers, folder: Path) -> bool:
    """Propose to sign in as where usher runs, if that vouches. Whether it was taken, and works."""
    vouching = answers.vouching
    if vouching is None:
        return False
    key, value = vouching.setting
    if not terminal.interactive:
        raise Refusal(
            f"No credential is given, and there is no terminal to ask on. usher runs in {vouching.where}, which can"
            f" vouch for it: --{key.replace('_', '-')} {value} keeps no secret. Nothing was written."
        )
    question = f"usher runs in {vouching.where}, which can vouch for it: sign in by that, and keep no secret? [Y/n]"
    if terminal.ask(question).strip().lower()[:1] == "n":
        return False
    try:
        _use_platform(answers, key, folder, value)
    except ValueError as error:
        terminal.warn(str(error))
        return False
    return True


def _use_platform(answers: Answers, key: str, folder: Path, value: str) -> str:
    """Sign in by what vouches for usher. Raises ValueError with the sentence where it cannot be."""
    from config.errors import ConfigError

    answers.table[key], answers.credential = value, key.replace("_", " ")
    try:
        _try_secret(answers, folder)
    except (ConfigError, ValueError) as error:
        del answers.table[key]
        raise ValueError(str(error)) from None
    return value


def _wants_certificate(terminal: Terminal) -> bool:
    def check(text: str) -> str:
        first = text.strip().lower()[:1]
        if first not in ("c", "s"):
            raise ValueError("Type c or s.")
        return first

    question = "Sign in with a certificate, made here (better), or with a client secret? [c/s]"
    return ask(terminal, None, "--certificate (or --secret-file)", question, check) == "c"


def _check_secret(text: str) -> str:
    text = text.strip()
    if is_guid(text):
        raise ValueError(
            "That is the secret's ID; the secret itself is what Entra's page shows as its Value, once, when it is made."
        )
    if len(text) < 8 or not text.isprintable() or " " in text:
        raise ValueError("That is no client secret: one line, no blanks, some 40 characters.")
    return text


def _keep_secret(answers: Answers, secret: str, folder: Path) -> None:
    from config.writing import write_private

    path = write_private(folder / "secrets" / f"{answers.name}.secret", secret.encode())
    answers.made.append(path)
    answers.table["client_secret"], answers.credential = f"file:secrets/{path.name}", "secret"


def _take_secret(answers: Answers, text: str, folder: Path) -> str:
    """Keep a secret that was typed, unless Entra refuses it. Raises ValueError with a sentence."""
    secret = _check_secret(text)
    _keep_secret(answers, secret, folder)
    try:
        _try_secret(answers, folder)
    except ValueError:
        answers.made.pop().unlink()
        raise
    return secret


def _use_secret(answers: Answers, path: str, folder: Path) -> str:
    from config.references import Reference

    _check_secret(Reference.parse(f"file:{path}", key="--secret-file").resolve().reveal())
    answers.table["client_secret"], answers.credential = f"file:{Path(path).absolute()}", "secret"
    _try_secret(answers, folder)
    return path


def _use_variable(answers: Answers, name: str, folder: Path) -> str:
    """Refer to a variable, which may be set for the service alone: then nobody can try it here."""
    answers.table["client_secret"], answers.credential = f"env:{name}", "secret"
    if name in os.environ:
        _try_secret(answers, folder)
    return name


def _try_secret(answers: Answers, folder: Path) -> None:
    """Sign in with the credential, if Entra could be reached a moment ago. Raises ValueError with
    the sentence for one that is refused.
    """
    from config.reader import parse_connection
    from worker.errors import TokenRefused, TokenUnavailable
    from worker.signin.tokens import TokenSource

    if answers.doubt:
        return
    connection = parse_connection(answers.name, answers.table, base=folder)

    async def sign_in() -> None:
        tokens = TokenSource()
        try:
            await tokens.get(connection, fresh=True)
        finally:
            await tokens.close()

    try:
        asyncio.run(sign_in())
        answers.tried = True
    except TokenRefused as error:
        raise ValueError(str(error)) from None
    except TokenUnavailable as error:
        answers.doubt = str(error)


def _use_certificate(answers: Answers, path: Path, password: str | None) -> None:
    if not path.is_file():
        raise Refusal(f"--certificate-file: there is no file {path}; nothing was written.")
    answers.table["certificate"], answers.credential = f"file:{path.absolute()}", "certificate"
    if password:
        answers.table["certificate_password"] = password  # that it is a reference is checked with the rest of the table


def make_own_certificate(answers: Answers, days: int, folder: Path) -> None:
    """Make a key and a certificate of the name in `secrets/`, and refer to them. Raises
    `ConfigError` where there are some.
    """
    from config.writing import write_private
    from worker.signin.new_certificate import make_certificate

    made = make_certificate(f"usher {answers.name}", days)
    path = write_private(folder / "secrets" / f"{answers.name}.pem", made.private_pem)
    answers.made.append(path)
    answers.upload = write_private(path.with_suffix(".cer"), made.public_pem)
    answers.made.append(answers.upload)
    with suppress(OSError):
        answers.upload.chmod(0o644)  # public, and somebody else may be the one who uploads it
    answers.certificate, answers.credential = made, "certificate"
    answers.table["certificate"] = f"file:secrets/{path.name}"
