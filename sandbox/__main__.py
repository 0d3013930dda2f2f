"""The program: `python -m sandbox`. Reads the options, starts the server, writes the ready file,
waits to be ended.

Exit status: 0 ended by SIGTERM, SIGINT or with its parent; 2 bad options or a port that cannot be
had (one sentence).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import orjson

from sandbox.certificates import write_private
from sandbox.options import (
    DEFAULT_ROLES,
    OptionError,
    Options,
    QuotaOptions,
    check_host,
    parse_background,
    parse_limits,
    parse_range,
    parse_replication,
)
from sandbox.serving.server import Server
from sandbox.serving.smtp import USER, MailServer
from sandbox.world import World

_PARENT_CHECK_S = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Run a sandbox until it is told to end, and return the exit status."""
    try:
        options = read_options(arguments)
        asyncio.run(_serve(options))
    except OptionError as error:
        _say(f"sandbox: {error}")
        return 2
    except KeyboardInterrupt:
        pass
    except OSError as error:
        _say(f"sandbox: {error.strerror or error} ({error.filename or 'no file'}).")
        return 2
    return 0


def read_options(arguments: list[str] | None) -> Options:
    """Read the command line. Raises `OptionError`; argparse exits with 2 for an unknown option."""
    given = build_parser().parse_args(arguments)
    for port in (given.port, given.smtp_port, given.starttls_port):
        if not 0 <= port <= 65_535:
            raise OptionError(f"{port} is not a port.")
    if not 1 <= given.tenants <= 10_000 or given.keep_requests < 0 or given.time_scale <= 0 or given.token_life <= 0:
        raise OptionError(
            "--tenants is from 1 to 10000, --keep-requests from 0, --time-scale and --token-life above 0."
        )
    replication, lags = parse_replication(given.replication)
    return Options(
        host=check_host(given.host),
        port=given.port,
        smtp_port=given.smtp_port,
        starttls_port=given.starttls_port,
        seed=given.seed,
        names=_words(given.names),
        state_dir=given.state_dir and given.state_dir.absolute(),  # the ready file is read from anywhere
        ready_file=given.ready_file,
        log_file=given.log,
        parent_pid=given.parent_pid,
        tenants=given.tenants,
        shared_app=given.shared_app,
        unconsented=given.unconsented,
        roles=DEFAULT_ROLES if given.roles is None else _words(given.roles),
        latency=parse_range(given.latency),
        replication=replication,
        lags=lags,
        token_life_s=given.token_life,
        clock_skew_s=given.clock_skew,
        keep_requests=given.keep_requests,
        forbid_characters=given.forbid_characters,
        quota=QuotaOptions(
            enabled=given.quota != "off",
            limits={} if given.quota in ("on", "off") else parse_limits(given.quota),
            time_scale=given.time_scale,
            retry_after=given.retry_after,
            accrue_while_throttled=given.accrue_while_throttled,
            fixed_windows=given.fixed_windows,
            throttle_headers=given.throttle_headers == "on",
            background=parse_background(given.background),
        ),
        faults=given.faults,
    )


class _Defaults(argparse.HelpFormatter):
    """Says the default of each option that has one, in brackets behind its help."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has = action.option_strings and action.default not in (None, False, "", argparse.SUPPRESS)
        return f"{action.help} (default: %(default)s)" if has else action.help


def build_parser() -> argparse.ArgumentParser:
    """Return the program's options."""
    parser = argparse.ArgumentParser(
        prog="usher sandbox",
        description="A local stand-in for Microsoft Entra and Microsoft Graph, to rehearse against.",
        formatter_class=_Defaults,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="loopback address to listen on")
    add("--port", type=int, default=0, help="port; 0 takes any free one")
    add("--smtp-port", type=int, default=0, help="port of the mail server with TLS from the first byte")
    add("--starttls-port", type=int, default=0, help="port of the mail server with STARTTLS")
    add("--seed", type=int, default=0, help="makes ids, order of answers and faults repeatable")
    add("--names", default="", help="further host names for the certificate, comma-separated")
    add("--state-dir", type=Path, help="keep certificates, secrets and the directory here over restarts")
    add("--ready-file", type=Path, help="write where the sandbox is (JSON, 0600) once it listens")
    add("--log", type=Path, help="append one JSON line per invitation and mail")
    add("--parent-pid", type=int, help="end when this process has ended")
    add("--tenants", type=int, default=1, help="how many there are in all: contoso.example, tenant0002.example, …")
    add("--shared-app", action="store_true", help="one application in every tenant, instead of one each")
    add("--unconsented", action="store_true", help="no tenant has consented to the application yet")
    add("--roles", help=f"application permissions granted, comma-separated (default: {','.join(DEFAULT_ROLES)})")
    add("--latency", default="0", help="seconds an answer takes: 0.1, or a span 0.3-0.7")
    add("--replication", default="0-2", help="seconds until a new guest is known, seeded per guest: 0-2,groups=5")
    add("--token-life", type=float, default=3_599.0, help="seconds an access token lives")
    add("--clock-skew", type=float, default=0.0, help="seconds this Graph's clock is ahead of ours")
    add("--keep-requests", type=int, default=100_000, help="requests and mails to remember; counts are exact always")
    add("--forbid-characters", action="store_true", help="refuse the address characters documented as not permitted")
    add("--quota", default="on", help="on, off, or limits such as invitations_per_tenant=150/5s,units_per_app=off")
    add("--time-scale", type=float, default=1.0, help="how many times faster the quota clock runs")
    add("--retry-after", choices=("present", "absent", "one"), default="present", help="Retry-After of a 429")
    add("--accrue-while-throttled", action="store_true", help="refused requests use up quota too")
    add("--fixed-windows", action="store_true", help="count in fixed windows instead of token buckets")
    add("--throttle-headers", choices=("on", "off"), default="on", help="scope of a 429, share of a limit in use")
    add("--background", default="0", help="share of the tenants' quota that others use: 0.5, or limit=0.5,...")
    add("--faults", default="", help="fault spec such as lost=0.01,504@item=1/50, or a JSON file")
    return parser


async def _serve(options: Options) -> None:
    world = World(options)
    server = Server(world)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    watch = asyncio.create_task(_watch_parent(options.parent_pid, ended)) if options.parent_pid else None
    try:
        base_url, _ = await server.start()
        ready = _describe(world, server.mail, base_url)
        if options.ready_file:
            options.ready_file.parent.mkdir(parents=True, exist_ok=True)
            write_private(options.ready_file, orjson.dumps(ready, option=orjson.OPT_INDENT_2))
        gc.freeze()
        gc.set_threshold(
            100_000, 50, 50
        )  # a million guests are no garbage; looking through them costs a pause each time
        _say(f"The sandbox listens on {base_url} (tenant {ready['tenant_id']}).")
        await ended.wait()
    finally:
        if watch is not None:
            watch.cancel()
        await server.stop()
        _remove_ready_file(options.ready_file)
        world.close()


def _describe(world: World, mail: MailServer, base_url: str) -> dict[str, object]:
    """Return the ready file: everything a caller needs to connect, with secrets as paths only."""
    tenants = [
        {
            "tenant_id": tenant.id,
            "client_id": app.client_id,
            "client_secret_file": app.secret_file,
            "authority": f"{base_url}/{tenant.id}",
            "domain": tenant.domains[0],
            "mailbox": f"invites@{tenant.domains[0]}",
        }
        for tenant, app in world.apps
    ]
    return {
        "pid": os.getpid(),
        "url": base_url,
        "graph_url": f"{base_url}/v1.0",
        "control_url": f"{base_url}/_sandbox",
        "ca_file": str(world.server_files.ca_file),
        "certificate_file": str(world.certificate_file),
        "smtp": {
            "host": world.options.host,
            "port": mail.port,
            "starttls_port": mail.starttls_port,
            "user": USER,
            "password_file": str(mail.password_file),
        },
        **{name: tenants[0][name] for name in ("tenant_id", "client_id", "client_secret_file", "authority", "mailbox")},
        "console": {
            "client_id": world.sign_in.app.client_id,
            "client_secret_file": str(world.sign_in.app.secret_file),
            "tenant_id": tenants[0]["tenant_id"],
            "authority": base_url,
        },
        "tenants": tenants,
        "seed": world.options.seed,
        "time_scale": world.clock.time_scale,
    }


def _remove_ready_file(path: Path | None) -> None:
    """Remove the ready file if it is this process's own: another sandbox may have replaced it."""
    if path is None:
        return
    with suppress(OSError, ValueError, KeyError):
        if orjson.loads(path.read_bytes())["pid"] == os.getpid():
            path.unlink()


async def _watch_parent(pid: int, ended: asyncio.Event) -> None:
    while _alive(pid):  # noqa: ASYNC110  # nothing tells a process that another one ended
        await asyncio.sleep(_PARENT_CHECK_S)
    ended.set()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):  # no /proc: a zombie counts as alive until it is reaped
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def _say(sentence: str) -> None:
    """Write to stderr; nothing else of the sandbox does."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


if __name__ == "__main__":
    sys.exit(main())
