"""`usher connections add`: from a tenant's name to a connection in the configuration, its
credential made here or taken unseen.

Every question has an option, so a script answers them all beforehand; without a terminal a missing
answer is a sentence and status 2.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.connections.consenting import features_option
from cli.connections.credential import Answers, ask, find_credential
from cli.connections.of_app import find_app, refuse_options, where_of, write_tenant
from cli.connections.rehearsing import READY, read_ready_file
from cli.ui.confirming import confirm
from cli.ui.options import Seconds, json_option
from cli.ui.session import Session
from config.connections import check_connection_name
from config.values import is_guid, parse_name
from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal

_CLOUDS = ("global", "usgov", "usgov-dod", "china")


@click.command("add")
@click.argument("name")
@click.option("--tenant", metavar="ID|DOMAIN", help="The Directory (tenant) ID, or one of the tenant's domains.")
@click.option(
    "--app",
    metavar="NAME",
    help="One more tenant of the application [apps.NAME]; written into connections_file where there is one.",
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Choose it by this, as in -c tag:eu (repeatable).")
@click.option(
    "--wait",
    "wait_s",
    type=Seconds(),
    metavar="TIME",
    help="With --app: wait until its administrator has consented, such as 15m, then check the connection.",
)
@features_option("With --app: what its administrator is asked for.")
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
    "--managed-identity",
    metavar="system|CLIENT_ID",
    help="Keep no secret: sign in as the identity of the Azure machine, App Service or Arc server that usher runs on.",
)
@click.option(
    "--client-assertion",
    metavar="file:PATH|managed_identity:CLIENT_ID",
    help="Keep no secret: a token that the application trusts (its federated credential) takes its place.",
)
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
    """Add a connection: ask for tenant, application and credential, and write them into the
    configuration.

    Proposes to keep no secret where usher runs in a place that vouches for it. Else makes a key and
    a certificate to upload, or takes the client secret without showing it, and signs in with it.
    What has an option is not asked. What cannot work is not written; what could not be tried is
    asked about.
    """
    from cli.ui.terminal import Terminal
    from config.listing import begun_list
    from config.reader import find_list
    from config.writing import file_to_write

    session.undone = "written"
    terminal = Terminal(session)
    answers = Answers(name)
    refuse_options(given, quiet=terminal.quiet)
    if given["app"]:
        with begun_list(find_list(path=file_to_write())):
            return _add_to_app(session, terminal, answers, given)
    file = _refuse_early(name, given)
    from worker.signin.places import find_vouching

    answers.vouching = find_vouching()
    secrets, had_some = file.parent / "secrets", (file.parent / "secrets").exists()
    try:
        _find_tenant(terminal, answers, given)
        _find_client(terminal, answers, given)
        find_credential(terminal, answers, given, file.parent)
        _ask_about_doubt(terminal, answers)
        from config.writing import append_table

        tags = {"tags": list(given["tags"])} if given["tags"] else {}
        append_table(file, "connections", name, {**answers.table, **tags})
    except BaseException:
        for path in answers.made:  # a key without a connection would only be in the way of the next try
            path.unlink(missing_ok=True)
        if not had_some:
            with suppress(OSError):  # it was not made, or holds something by now
                secrets.rmdir()
        raise
    _tell(terminal, answers, file)
    return 0


def _add_to_app(session: Session, terminal: Terminal, answers: Answers, given: dict[str, Any]) -> int:
    file = _refuse_early(answers.name, given)
    given |= where_of(find_app(file, given["app"])[1])
    _find_tenant(terminal, answers, given)
    _ask_about_doubt(terminal, answers)
    return write_tenant(terminal, session, file, answers, given)


def _refuse_early(name: str, given: dict[str, Any]) -> Path:
    """Return the file to write to. Raises `Refusal` and `ConfigError` before anything is asked."""
    from config.reader import load_settings
    from config.writing import file_to_write

    try:
        check_connection_name(name)
    except ValueError as error:
        raise Refusal(f"{name[:64]!r} cannot be a connection's name: it {error}. Nothing was written.") from None
    for tag in given["tags"]:
        try:
            parse_name(tag)
        except ValueError as error:
            raise Refusal(f"--tag: {tag[:64]!r} {error}. Nothing was written.") from None
    given["tags"] = tuple(dict.fromkeys(given["tags"]))
    ways = (
        "makes_certificate",
        "certificate_file",
        "secret_file",
        "secret_env",
        "managed_identity",
        "client_assertion",
    )
    if sum(bool(given[way]) for way in ways) > 1:
        raise click.UsageError(
            "Give one of --certificate, --certificate-file, --secret-file, --secret-env, --managed-identity and"
            " --client-assertion"
        )
    if given["ready_file"]:
        told = read_ready_file(given["ready_file"], {**READY, "tenant": "tenant_id", "authority": "authority"})
        given |= {option: given[option] or value for option, value in told.items()}
    if bool(given["authority"]) != bool(given["graph_url"]):
        raise click.UsageError("--authority and --graph-url belong together")
    file = file_to_write()
    settings = load_settings(path=file) if file.exists() else None
    if settings and name in (*settings.connections, *(line.name for line in settings.faulty)):
        listed = settings.listed if settings.listed and name not in settings.own else None
        place = listed.path if listed else file
        raise Refusal(
            f"{place} has a connection {name} already; nothing was written. Choose another name, or change it there."
        )
    return file


def _find_tenant(terminal: Terminal, answers: Answers, given: dict[str, Any]) -> None:
    """Ask for the tenant and find out its id and cloud."""
    from urllib.parse import urlsplit

    from config.clouds import CLOUDS
    from worker.errors import TokenRefused, TokenUnavailable, WayOutUnusable
    from worker.signin.tenant_discovery import TenantFacts, fetch_tenant_facts

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
        except WayOutUnusable as error:
            raise Refusal(f"{error} Nothing was written.") from None
        except TokenUnavailable as error:
            if not is_guid(tenant):
                raise ValueError(
                    f"{error} The domain could not be looked up; give the tenant's ID, or try again."
                ) from None
            answers.doubt = str(error)
            facts = TenantFacts(tenant.lower(), wanted or "global")
        return tenant

    proposed = answers.vouching.tenant if answers.vouching else ""
    question = "Tenant (Directory ID, or a domain such as contoso.com):"
    told = ask(terminal, given["tenant"], "--tenant", question, check, proposed)
    assert facts is not None
    if wanted and facts.cloud and facts.cloud != wanted:
        raise Refusal(
            f"The tenant {told} lives in the cloud {facts.cloud}, not in {wanted}: leave --cloud out, or correct it."
            " Nothing was written."
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


def _find_client(terminal: Terminal, answers: Answers, given: dict[str, Any]) -> None:
    def check(text: str) -> str:
        text = text.strip()
        if not is_guid(text):
            raise ValueError("An Application (client) ID looks like 11111111-2222-3333-4444-555555555555.")
        if text.lower() == answers.table["tenant_id"]:
            raise ValueError(
                "That is the tenant's ID; the application has one of its own, the Application (client) ID."
            )
        return text.lower()

    proposed = answers.vouching.client if answers.vouching else ""
    question = "Application (client) ID:"
    answers.table["client_id"] = ask(terminal, given["client_id"], "--client-id", question, check, proposed)


def _ask_about_doubt(terminal: Terminal, answers: Answers) -> None:
    """Ask whether a connection that could not be tried is wanted all the same. Raises `Refusal` for
    anything but a yes.
    """
    if not answers.doubt:
        return
    if not terminal.interactive:
        raise Refusal(f"{answers.doubt} So nobody can say whether this connection works, and nothing was written.")
    terminal.warn(answers.doubt)
    confirm(terminal, "So nobody can say whether this connection works. Write it all the same?", "written")


def _tell(terminal: Terminal, answers: Answers, file: Path) -> None:
    """Say what was written and what comes next."""
    name, certificate = answers.name, answers.certificate
    terminal.show(f"Connection {name} is written into {file}.")
    steps = []
    if certificate is not None and answers.upload is not None:
        terminal.show(
            f"Its certificate is good until {certificate.ends_at:%Y-%m-%d}; the private key stays in {answers.made[0]}."
        )
        steps.append(
            f"Upload {answers.upload} to the app registration: Certificates & secrets, Certificates, Upload"
            f" certificate.\n     Entra then shows the thumbprint {certificate.thumbprint}."
        )
    elif answers.made:
        terminal.show(f"Its secret stays in {answers.made[0]}, for this account only.")
    if answers.tried:
        terminal.show(f"Entra takes the {answers.credential}: signing in works.")
    steps += [
        (
            f"Let an administrator consent:  usher connections consent {name}\n     It names the permission for each"
            " step after the invitation too, which lists may ask for."
        ),
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
