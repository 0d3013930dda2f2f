"""One sandbox put together: clock, directory, tokens, quotas, ledger and the surfaces over them,
without a network.

`World` is what the server serves and the control API changes; `reset` makes it new again without a
restart.
"""

from __future__ import annotations

import random
import secrets
import tempfile
import time
from pathlib import Path

from sandbox.certificates import ServerFiles, make_app_certificate, make_server_files, write_private
from sandbox.clock import Clock
from sandbox.directory import App, Directory, Tenant, seed_directory
from sandbox.entra import Login
from sandbox.faults import Faults, load_faults
from sandbox.federation import Federation
from sandbox.graph import Graph
from sandbox.invitations import Inviter
from sandbox.journal import restore
from sandbox.options import Options
from sandbox.quotas import Quotas
from sandbox.recorder import AppendFile, Recorder
from sandbox.resources.accounts import Accounts
from sandbox.resources.applications import Applications
from sandbox.resources.groups import Groups
from sandbox.resources.known import Known
from sandbox.resources.mailboxes import Mailboxes
from sandbox.resources.profile import Profiles
from sandbox.resources.references import References
from sandbox.resources.roles import Roles
from sandbox.resources.sponsors import Sponsors
from sandbox.resources.teams import Teams
from sandbox.settings import TenantSettings
from sandbox.signin.service import SignIn
from sandbox.tokens import Tokens, load_key
from sandbox.users import People


class World:
    """What one sandbox knows, in `folder`: certificates, secrets and, to last, the directory."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.faults = load_faults(options.faults, options.seed)  # first: a mistake in it leaves nothing behind
        self._scratch = None if options.state_dir else tempfile.TemporaryDirectory(prefix="usher-sandbox-")
        self.folder = options.state_dir or Path(self._scratch.name if self._scratch else "")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.clock = Clock(skew_s=options.clock_skew_s, time_scale=options.quota.time_scale)
        self.chance = random.Random(options.seed)
        self.recorder = Recorder(options.keep_requests, self.clock.stamp)
        self.quotas = Quotas(options.quota, self.clock)
        self.directory = Directory(options.seed, self.clock, options.replication, options.lags)
        self.server_files: ServerFiles = make_server_files(self.folder, options.names)
        self.certificate_file = self.folder / "app.pem"
        self.apps: list[tuple[Tenant, App]] = []
        self.started_s = time.monotonic()
        self._seed()
        journal = self.folder / f"directory-{options.seed}.jsonl"
        restore(journal, self.directory, self.recorder)
        if options.state_dir:
            self.recorder.journal = AppendFile(journal)
        if options.log_file:
            self.recorder.log = AppendFile(options.log_file)
        self.tokens = Tokens(self.directory, self.clock, options.token_life_s, load_key(self.folder))
        self.federation = Federation(self.tokens, self.clock)
        self.inviter = Inviter(self.directory, self.recorder, self.chance, forbid_characters=options.forbid_characters)
        self.people = People(self.directory)
        self.references = References()
        known = Known(self.directory)
        self.groups = Groups(known, self.recorder, self.references)
        self.sponsors = Sponsors(known, self.recorder, self.references)
        self.teams = Teams(known, self.recorder, self.references, self.chance)
        self.roles = Roles()
        self.applications = Applications(self.clock)
        self.accounts = Accounts(self.directory, self.recorder, self.clock)
        self.settings = TenantSettings(self.directory)
        resources = (
            Profiles(known, self.recorder),
            self.groups,
            self.sponsors,
            self.teams,
            Mailboxes(self.recorder),
            self.roles,
            self.accounts,
            self.applications,
        )
        self.graph = Graph(
            clock=self.clock,
            quotas=self.quotas,
            recorder=self.recorder,
            inviter=self.inviter,
            people=self.people,
            settings=self.settings,
            resources={
                operation: handler for resource in resources for operation, handler in resource.handlers().items()
            },
            chance=self.chance,
        )
        self.set_faults(self.faults)
        self.sign_in = SignIn(self.directory, self.clock, self.folder)
        self.login = Login(self.directory, self.tokens, self.clock, self.federation, frozenset())

    def listening(self, base_url: str, port: int) -> None:
        """Tell the surfaces where they are served, once that is known."""
        served = (self.groups, self.sponsors, self.teams, self.roles, self.accounts, self.applications)
        for surface in (self.inviter, self.people, self.settings, *served):
            surface.base_url = base_url
        hosts = {"localhost", "127.0.0.1", "[::1]", *self.options.names}
        bases = {f"https://{host}:{port}" for host in hosts} | {f"https://{host}" for host in hosts}
        self.federation.base_url = base_url
        self.references.bases = frozenset(bases)
        self.login = Login(self.directory, self.tokens, self.clock, self.federation, frozenset(bases))

    def set_faults(self, faults: Faults) -> None:
        """Replace every fault, and put tenants into the states the spec names."""
        self.faults = self.graph.faults = faults
        settings = faults.settings
        for tenant, app in self.apps:
            if "abuse_after" in settings:
                tenant.abuse_after = settings["abuse_after"]
            if "allow_invites_from" in settings:
                tenant.allow_invites_from = settings["allow_invites_from"]
            if "max_users" in settings:
                tenant.max_users = settings["max_users"]
            if settings.get("secret") == "expired":
                self.expire_secrets(app)

    def rotate_secret(self, app: App, *, keep_old: bool) -> str:
        """Give an application a new secret, in its file too; old ones are refused unless kept."""
        secret = f"{secrets.token_urlsafe(3)}8Q~{secrets.token_urlsafe(26)}"
        app.secrets = {**(app.secrets if keep_old else {}), secret: None}
        write_private(Path(app.secret_file), secret.encode())
        return secret

    def expire_secrets(self, app: App) -> None:
        """Let every secret of an application have ended a second ago."""
        app.secrets = dict.fromkeys(app.secrets, self.clock.wall_s() - 1)

    def reset(self) -> None:
        """Go back to the seed: directory, ledger, quotas, faults. Tokens and secrets stay good."""
        self.clock.forward_s = 0.0
        self.recorder.reset()
        self.quotas.reset()
        old = {(tenant.id, app.client_id): app for tenant, app in self.apps}
        self.directory.clear()
        self.apps = []
        self._seed(old)
        self.tokens.forget()
        self.federation.forget()
        self.login.refused.clear()
        self.sign_in.reset()
        self.set_faults(load_faults(self.options.faults, self.options.seed))
        if self.recorder.journal is not None:
            self.recorder.journal.truncate()

    def close(self) -> None:
        """Write what is unwritten and remove what was only for this run."""
        for file in (self.recorder.log, self.recorder.journal):
            if file is not None:
                file.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _seed(self, old: dict[tuple[str, str], App] | None = None) -> None:
        options = self.options
        made = seed_directory(
            self.directory, tenants=options.tenants, roles=options.roles, shared_app=options.shared_app
        )
        for number, (tenant, app) in enumerate(made, 1):
            known = (old or {}).get((tenant.id, app.client_id))
            if known is not None:
                app.secrets, app.certificates, app.secret_file = known.secrets, known.certificates, known.secret_file
            else:
                is_first = number == 1 or options.shared_app  # one application, with one secret
                path = self.folder / ("client_secret" if is_first else f"client_secret_{number:04d}")
                app.secret_file = str(path)
                if path.exists() and (secret := path.read_text("utf-8").strip()):
                    app.secrets = {secret: None}
                else:
                    self.rotate_secret(app, keep_old=False)
                if number == 1:
                    app.certificates = [make_app_certificate(self.certificate_file)]
            if number > 1 and options.shared_app:
                app.certificates = made[0][1].certificates  # one registration: what is uploaded counts in every tenant
            app.consented = not options.unconsented
            self.apps.append((tenant, app))
