"""`usher connections add`: from a tenant's name to a connection in the configuration, its credential made here or taken unseen.

Every question has an option, so a script answers them all beforehand; without a terminal a missing answer is a sentence and status 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from config.values import is_guid, parse_name
from tasks.cli.errors import Refusal
from tasks.cli.options import json_option
from tasks.cli.session import Session

if TYPE_CHECKING:
    from tasks.cli.terminal import Terminal
    from worker.certificates import NewCertificate

_CLOUDS = ("global", "usgov", "usgov-dod", "china")
_SECRET_BYTES = 8192
_STDIN = "-"


@dataclass(slots=True)
class _Answers:
    """What is known of the connection so far, as its table will hold it, and what was made for it."""

    name: str
    table: dict[str, str] = field(default_factory=dict)
    made: list[Path] = field(default_factory=list)
    upload: Path | None = None
    certificate: NewCertificate | None = None
    credential: str = ""


@click.command("add")
@click.argument("name")
@click.option("--tenant", metavar="ID|DOMAIN", help="The Directory (tenant) ID, or one of the tenant's domains.")
@click.option("--client-id", metavar="ID", help="The Application (client) ID.")
@click.option(
    "--cloud", type=click.Choice(_CLOUDS), default=None, help="The tenant's cloud; found out where not given."
)
@click.option(
    "--certificate", "makes_certificate", is_flag=True, help="Make a key and a certificate to upload (the better way)."
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long the certificate is good."
)
@click.option("--certificate-file", metavar="FILE", help="Use this PEM (certificate and key) or PFX.")
@click.option(
    "--certificate-password", metavar="env:NAME|file:PATH", help="Where the password of --certificate-file is."
)
@click.option(
    "--secret-file",
    metavar="FILE|-",
    help="Use the client secret in this file; -: read it from standard input and keep it.",
)
@click.option("--secret-env", metavar="NAME", help="Use the client secret in this environment variable.")
@click.option(
    "--sandbox",
    "ready_file",
    metavar="FILE",
    help="A rehearsal: the ready file of a running `usher sandbox --ready-file FILE`.",
)
@click.option("--authority", metavar="URL", help="Where to sign in, if it is none of Microsoft's clouds.")
@click.option("--graph-url", metavar="URL", help="Where Graph is, if it is none of Microsoft's clouds.")
@click.option("--ca-file", metavar="FILE", help="Certificates to trust besides the usual ones (PEM).")
@json_option("One JSON object about what was written; nothing is asked.")
@click.pass_obj
def add(session: Session, /, name: str, **given: Any) -> int:
    """Add a connection: ask for tenant, application and credential, and write them into the configuration.

    Makes a key and a certificate to upload, or takes the client secret without showing it. What has an option is not asked.
    """
    from tasks.cli.terminal import Terminal

    terminal = Terminal(session)
    answers = _Answers(name)
    file = _refuse_early(name, given)
    try:
        _find_tenant(terminal, answers, given)
        _find_client(terminal, answers, given)
        _find_credential(terminal, answers, given, file.parent)
        from config.writing import append_connection

        append_connection(file, name, answers.table)
    except BaseException:
        for path in answers.made:  # a key without a connection would only be in the way of the next try
            path.unlink(missing_ok=True)
        raise
    _tell(terminal, answers, file)
    return 0


def _refuse_early(name: str, given: dict[str, Any]) -> Path:
    """Return the file to write to. Raises `Refusal` and `ConfigError` before anything is asked."""
    from config import load_settings
    from config.writing import file_to_write

    try:
        parse_name(name)
    except ValueError as error:
        raise Refusal(f"{name[:64]!r} cannot be a connection's name: it {error}. Nothing was written.") from None
    ways = ("makes_certificate", "certificate_file", "secret_file", "secret_env")
    if sum(bool(given[way]) for way in ways) > 1:
        raise click.UsageError("Give one of --certificate, --certificate-file, --secret-file and --secret-env")
    if given["ready_file"]:
        _read_ready_file(given)
    if bool(given["authority"]) != bool(given["graph_url"]):
        raise click.UsageError("--authority and --graph-url belong together")
    file = file_to_write()
    if file.exists() and name in load_settings(path=file).connections:
        raise Refusal(
            f"{file} has a connection {name} already; nothing was written. Choose another name, or change it there."
        )
    return file


def _read_ready_file(given: dict[str, Any]) -> None:
    """Answer what a running sandbox's ready file answers."""
    try:
        ready = json.loads(Path(given["ready_file"]).read_text(encoding="utf-8"))
        for option, key in (
            *(("tenant", "tenant_id"), ("client_id", "client_id")),
            *(("authority", "authority"), ("graph_url", "graph_url"), ("ca_file", "ca_file")),
        ):
            given[option] = given[option] or str(ready[key])
    except (OSError, ValueError, KeyError, TypeError):
        raise Refusal(
            f"{given['ready_file']} is not the ready file of a running sandbox: start one with usher sandbox --ready-file "
            f"{given['ready_file']}. Nothing was written."
        ) from None


def _ask(terminal: Terminal, given: str | None, option: str, question: str, check: Callable[[str], str]) -> str:
    """Return an answer that `check` accepts (it raises ValueError with a sentence): the option's, or asked for until it is one."""
    if given is not None:
        try:
            return check(given)
        except ValueError as error:
            raise Refusal(f"{option}: {error} Nothing was written.") from None
    if not terminal.interactive:
        raise Refusal(f"{option} is missing, and there is no terminal to ask on; nothing was written.")
    while True:
        answer = terminal.ask(question)
        if not answer:
            raise Refusal("No answer; nothing was written.")
        try:
            return check(answer)
        except ValueError as error:
            terminal.warn(str(error))


def _find_tenant(terminal: Terminal, answers: _Answers, given: dict[str, Any]) -> None:
    """Ask for the tenant and find out its id and cloud."""
    from urllib.parse import urlsplit

    from config.clouds import CLOUDS
    from worker.discovery import TenantFacts, fetch_tenant_facts
    from worker.errors import TokenRefused, TokenUnavailable, WayOutUnusable

    wanted, authority = given["cloud"], given["authority"]
    host = urlsplit(authority).netloc if authority else CLOUDS[wanted or "global"].login_host
    facts: TenantFacts | None = None

    def check(text: str) -> str:
        nonlocal facts
        tenant = _tenant_name(text)
        try:
            facts = fetch_tenant_facts(tenant, host, ca_file=given["ca_file"], cloud=wanted or "global")
        except TokenRefused as error:
            hint = "" if wanted or authority else " A tenant of China's cloud needs --cloud china."
            raise ValueError(f"{error}{hint}") from None
        except (TokenUnavailable, WayOutUnusable) as error:
            if not is_guid(tenant):
                raise ValueError(
                    f"{error} The domain could not be looked up; give the tenant's ID, or try again."
                ) from None
            terminal.warn(f"{error} The tenant's ID is taken as it is.")
            facts = TenantFacts(tenant.lower(), wanted or "global")
        return tenant

    told = _ask(terminal, given["tenant"], "--tenant", "Tenant (Directory ID, or a domain such as contoso.com):", check)
    assert facts is not None
    if wanted and facts.cloud and facts.cloud != wanted:
        raise Refusal(
            f"The tenant {told} lives in the cloud {facts.cloud}, not in {wanted}: leave --cloud out, or correct it. Nothing was written."
        )
    cloud = facts.cloud or wanted or "global"
    answers.table["tenant_id"] = facts.tenant_id
    answers.table |= {key: given[key] for key in ("authority", "graph_url") if given[key]}
    if given["ca_file"]:
        answers.table["ca_file"] = str(Path(given["ca_file"]).absolute())
    if cloud != "global" and not authority:
        answers.table["cloud"] = cloud
    where = host if authority else f"cloud {cloud}"
    terminal.say(f"Tenant {facts.tenant_id} ({where}).")


def _tenant_name(text: str) -> str:
    from config.connections import check_tenant

    text = text.strip().rpartition("@")[2]  # an address of somebody there will do
    try:
        return check_tenant(text)
    except ValueError as error:
        raise ValueError(f"This {error}.") from None


def _find_client(terminal: Terminal, answers: _Answers, given: dict[str, Any]) -> None:
    def check(text: str) -> str:
        text = text.strip()
        if not is_guid(text):
            raise ValueError("An Application (client) ID looks like 11111111-2222-3333-4444-555555555555.")
        if text.lower() == answers.table["tenant_id"]:
            raise ValueError(
                "That is the tenant's ID; the application has one of its own, the Application (client) ID."
            )
        return text.lower()

    answers.table["client_id"] = _ask(terminal, given["client_id"], "--client-id", "Application (client) ID:", check)


def _find_credential(terminal: Terminal, answers: _Answers, given: dict[str, Any], folder: Path) -> None:
    """Make, take or refer to the credential."""
    if given["secret_env"]:
        answers.table["client_secret"], answers.credential = f"env:{given['secret_env']}", "secret"
    elif given["certificate_file"]:
        _use_certificate(answers, Path(given["certificate_file"]), given["certificate_password"])
    elif given["secret_file"] not in (None, _STDIN):
        _use_secret(answers, Path(given["secret_file"]))
    elif given["secret_file"] == _STDIN:
        _keep_secret(answers, _check_secret(sys.stdin.readline(_SECRET_BYTES)), folder)
    elif given["makes_certificate"] or _wants_certificate(terminal):
        _make_certificate(answers, given["days"], folder)
    else:
        with terminal.unseen():
            secret = _ask(terminal, None, "--secret-file", "Client secret, its Value (not shown):", _check_secret)
        terminal.say()
        _keep_secret(answers, secret, folder)


def _wants_certificate(terminal: Terminal) -> bool:
    def check(text: str) -> str:
        first = text.strip().lower()[:1]
        if first not in ("c", "s"):
            raise ValueError("Type c or s.")
        return first

    question = "Sign in with a certificate, made here (better), or with a client secret? [c/s]"
    return _ask(terminal, None, "--certificate (or --secret-file)", question, check) == "c"


def _check_secret(text: str) -> str:
    text = text.strip()
    if is_guid(text):
        raise ValueError(
            "That is the secret's ID; the secret itself is what Entra's page shows as its Value, once, when it is made."
        )
    if len(text) < 8 or not text.isprintable() or " " in text:
        raise ValueError("That is no client secret: one line, no blanks, some 40 characters.")
    return text


def _keep_secret(answers: _Answers, secret: str, folder: Path) -> None:
    from config.writing import write_private

    path = write_private(folder / "secrets" / f"{answers.name}.secret", secret.encode())
    answers.made.append(path)
    answers.table["client_secret"], answers.credential = f"file:secrets/{path.name}", "secret"


def _use_secret(answers: _Answers, path: Path) -> None:
    from config import Reference

    secret = Reference.parse(f"file:{path}", key="--secret-file").resolve().reveal()
    try:
        _check_secret(secret)
    except ValueError as error:
        raise Refusal(f"--secret-file: {error} Nothing was written.") from None
    answers.table["client_secret"], answers.credential = f"file:{path.absolute()}", "secret"


def _use_certificate(answers: _Answers, path: Path, password: str | None) -> None:
    if not path.is_file():
        raise Refusal(f"--certificate-file: there is no file {path}; nothing was written.")
    answers.table["certificate"], answers.credential = f"file:{path.absolute()}", "certificate"
    if password:
        answers.table["certificate_password"] = password  # that it is a reference is checked with the rest of the table


def _make_certificate(answers: _Answers, days: int, folder: Path) -> None:
    from config.writing import write_private
    from worker.certificates import make_certificate

    made = make_certificate(f"usher {answers.name}", days)
    path = write_private(folder / "secrets" / f"{answers.name}.pem", made.private_pem)
    answers.made.append(path)
    answers.upload = write_private(path.with_suffix(".cer"), made.public_pem)
    answers.made.append(answers.upload)
    with suppress(OSError):
        answers.upload.chmod(0o644)  # public, and somebody else may be the one who uploads it
    answers.certificate, answers.credential = made, "certificate"
    answers.table["certificate"] = f"file:secrets/{path.name}"


def _tell(terminal: Terminal, answers: _Answers, file: Path) -> None:
    """Say what was written and what comes next."""
    name, certificate = answers.name, answers.certificate
    terminal.show(f"Connection {name} is written into {file}.")
    steps = []
    if certificate is not None and answers.upload is not None:
        terminal.show(
            f"Its certificate is good until {certificate.ends_at:%Y-%m-%d}; the private key stays in {answers.made[0]}.",
        )
        steps.append(
            f"Upload {answers.upload} to the app registration: Certificates & secrets, Certificates, Upload certificate.\n"
            f"     Entra then shows the thumbprint {certificate.thumbprint}."
        )
    elif answers.made:
        terminal.show(f"Its secret stays in {answers.made[0]}, for this account only.")
    steps += [
        f"Let an administrator consent:  usher connections consent {name}",
        f"Then see whether it works:     usher connections check {name}",
    ]
    terminal.show("", "Next:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1)))
    if terminal.quiet:
        told = {
            "connection": name,
            "file": str(file),
            "tenant_id": answers.table["tenant_id"],
            "client_id": answers.table["client_id"],
            "cloud": answers.table.get("cloud", "global"),
            "credential": answers.credential,
            "upload": str(answers.upload) if answers.upload else None,
            "thumbprint": certificate.thumbprint if certificate else None,
            "ends_at": certificate.ends_at.isoformat() if certificate else None,
        }
        terminal.print_json(told)
