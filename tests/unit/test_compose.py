"""The container files: valid, closed where they promise it, and naming nothing that does not
exist.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.reader import load_settings
from console.limits import MOST_BODY
from tasks.scheduled.fetching import LARGEST_BYTES

ROOT = Path(__file__).resolve().parents[2]
NO_SECRETS = {"USHER_REDIS_URL": "redis://redis:6379/0"}
"""In place of the one secret that is read when settings are."""
SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "KEY", "AUTH")


@pytest.fixture(scope="module")
def compose() -> Any:
    """The compose file as plain data."""
    return YAML(typ="safe", pure=True).load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def _run(*command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=cwd, env={"PATH": path, **env}, capture_output=True, text=True, timeout=60, check=False
    )


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_compose_file_follows_the_compose_specification() -> None:
    """A misspelt key is found here, not by the operator."""
    done = _run(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yml",
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_is_closed(compose: Any) -> None:
    """Read-only, no capabilities, no new privileges, not root: for every service."""
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not str(service.get("user", "10001")).startswith(("0", "root")), name
    assert "\nUSER 10001:10001\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_only_pages_with_a_login_are_published_and_only_to_this_host(compose: Any) -> None:
    """Redis has no published port; Flower's and the metrics' are bound to the loopback address and
    ask for a login. The console is reached by its proxy alone, over TLS.
    """
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published.pop("proxy") == ["80:8080", "443:8443"]
    assert published == {"flower": ["127.0.0.1:5555:5555"], "metrics": ["127.0.0.1:9464:9464"]}
    assert set(compose["services"]["proxy"]["networks"]) & {"inside", "outside"} == set()
    assert compose["services"]["redis"]["networks"] == ["inside"]
    assert compose["networks"]["inside"] == {"internal": True}


def test_no_secret_stands_in_an_environment(compose: Any) -> None:
    """`docker inspect` shows what stands under `environment`: nothing there sounds secret or holds
    a URL.
    """
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            assert not any(word in key for word in SECRET_WORDS), (name, key)
            assert "://" not in value, (name, key)


def test_every_secret_is_declared_made_and_explained(compose: Any) -> None:
    """A service mounts no secret that nobody makes."""
    used = {secret for service in compose["services"].values() for secret in _sources(service)}
    assert used == set(compose["secrets"])
    explained = (ROOT / "deploy/compose/secrets/README.md").read_text(encoding="utf-8")
    makes = (ROOT / "deploy/compose/init").read_text(encoding="utf-8")
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"./deploy/compose/secrets/{name}"}
        assert f"`{name}`" in explained
        assert name in makes or f"make_login {name.removeprefix('redis_')} " in makes


def test_only_who_needs_a_secret_has_it(compose: Any) -> None:
    """beat and Flower run without the ledger's key and without any credential."""
    services = compose["services"]
    assert _sources(services["beat"]) == ["redis_beat"]
    assert _sources(services["flower"]) == ["redis_flower", "flower_login"]
    assert _sources(services["metrics"]) == ["redis_metrics", "metrics_login"]
    assert _sources(services["redis"]) == ["redis_users"]
    assert _sources(services["proxy"]) == []
    assert [name for name in services if "console_secret" in _sources(services[name])] == ["console"]


def test_every_service_has_a_login_of_redis_of_its_own(compose: Any) -> None:
    """Each finds its own where the configuration looks; no two share one."""
    services = {name: service for name, service in compose["services"].items() if name not in ("redis", "proxy")}
    for name, service in services.items():
        assert service["secrets"][0] == {"source": f"redis_{name}", "target": "redis_url"}


def _sources(service: Any) -> list[str]:
    """The secrets that a service has."""
    return [secret if isinstance(secret, str) else secret["source"] for secret in service.get("secrets", ())]


def _bytes(text: str) -> int:
    return int(text[:-1]) * {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[text[-1].lower()]


def test_every_service_has_a_limit_of_memory(compose: Any) -> None:
    """Above what lies in its /tmp, which counts as memory: none of them can take the host's."""
    for name, service in compose["services"].items():
        (tmp,) = service.get("tmpfs", ["size=0m"])
        assert _bytes(service["mem_limit"]) >= _bytes(tmp.rpartition("size=")[2]) + (200 << 20), name
    settings = (ROOT / "deploy/compose/valkey.conf").read_text(encoding="utf-8")
    (most,) = re.findall(r"^maxmemory (\d+)gb$", settings, re.MULTILINE)
    assert _bytes(compose["services"]["redis"]["mem_limit"]) >= 2 * _bytes(f"{most}g"), "it forks to rewrite its file"


@pytest.mark.parametrize("service", ["worker", "cli", "console"])
def test_tmp_holds_the_largest_list(compose: Any, service: str) -> None:
    """One that is fetched lies there, and a second one beside it."""
    (tmp,) = compose["services"][service]["tmpfs"]
    assert _bytes(tmp.rpartition("size=")[2]) >= 2 * LARGEST_BYTES


def test_images_can_be_pinned_by_their_digests(compose: Any, tmp_path: Path) -> None:
    """`pin` asks the engine for the digests and writes what Compose then takes; a second run takes
    the newer ones.
    """
    images = {
        "VALKEY_IMAGE": "valkey/valkey:8-alpine",
        "CADDY_IMAGE": "caddy:2-alpine",
        "PYTHON_IMAGE": "python:3.11-slim",
    }
    assert compose["services"]["proxy"]["image"] == f"${{CADDY_IMAGE:-{images['CADDY_IMAGE']}}}"
    assert compose["services"]["redis"]["image"] == f"${{VALKEY_IMAGE:-{images['VALKEY_IMAGE']}}}"
    assert compose["services"]["worker"]["build"]["args"] == {
        "PYTHON_IMAGE": f"${{PYTHON_IMAGE:-{images['PYTHON_IMAGE']}}}"
    }
    (tmp_path / "deploy/compose").mkdir(parents=True)
    shutil.copy(ROOT / "deploy/compose/pin", tmp_path / "deploy/compose/pin")
    docker = tmp_path / "docker"
    for digit in "a", "b":
        digest = "sha256:" + digit * 64
        docker.write_text(f'#!/bin/sh\n[ "$1" = pull ] || echo "somewhere/image@{digest}"\n', encoding="utf-8")
        docker.chmod(0o755)
        if digit == "a":
            (tmp_path / ".env").write_text("USHER_UID=1000\n", encoding="utf-8")
        done = _run("sh", "-c", f"PATH={tmp_path}:$PATH sh deploy/compose/pin", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        pinned = {f"{variable}={image}@{digest}" for variable, image in images.items()}
        assert set((tmp_path / ".env").read_text(encoding="utf-8").split()) == {"USHER_UID=1000", *pinned}
    docker.write_text("#!/bin/sh\n", encoding="utf-8")
    assert _run("sh", "-c", f"PATH={tmp_path}:$PATH sh deploy/compose/pin", cwd=tmp_path).returncode == 1


def test_every_mounted_path_exists(compose: Any) -> None:
    """Docker would make a missing file into an empty folder and say nothing."""
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./") and source not in ("./data", "./data/proxy"):  # which `init` makes
                assert (ROOT / source).exists(), source
            elif not source.startswith("./"):
                assert source in compose["volumes"]


def test_every_lasting_service_has_a_health_check(compose: Any) -> None:
    """The cli runs once; all others are watched and started again."""
    for name, service in compose["services"].items():
        assert ("healthcheck" in service) == (name != "cli"), name
        # podman takes a CMD's words apart once more at their blanks
        assert service.get("healthcheck", {"test": ["CMD-SHELL"]})["test"][0] == "CMD-SHELL", name
        assert service["restart"] == ("no" if name == "cli" else "unless-stopped"), name


def test_stop_grace_covers_a_batch_on_the_wire(compose: Any) -> None:
    """A stopped worker has time to record what it sent: twice the time that one request may
    take.
    """
    settings = load_settings(env=NO_SECRETS, path=ROOT / "deploy/compose/config/usher.toml")
    assert _seconds(compose["services"]["worker"]["stop_grace_period"]) >= 2 * settings.graph.timeout_s


def test_the_mounted_configuration_is_read_without_its_secrets() -> None:
    """The example configuration is valid as it stands and refers to secrets that the services
    mount.
    """
    path = ROOT / "deploy/compose/config/usher.toml"
    settings = load_settings(env=NO_SECRETS, path=path)
    assert "contoso" in settings.connections
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    assert raw["redis"]["url"] == "file:/run/secrets/redis_url"
    assert raw["ledger"]["key"] == "file:/run/secrets/ledger_key"
    assert raw["connections"]["contoso"]["client_secret"] == "file:/run/secrets/contoso"


@pytest.mark.parametrize("service", ["worker", "beat", "flower", "metrics", "console"])
def test_every_command_exists(compose: Any, service: str) -> None:
    """The containers start commands that usher has, with options that it takes."""
    program, *words = compose["services"][service]["command"]
    assert program == "usher"
    done = _run(sys.executable, "-c", "from cli import main; main()", *words, "--help", cwd=ROOT, HOME="/nonexistent")
    assert done.returncode == 0, done.stderr


def test_the_proxy_serves_the_console_with_tls(compose: Any) -> None:
    """Where both listen, as large a body as the console takes, and nothing but what it needs."""
    text = (ROOT / "deploy/compose/Caddyfile").read_text(encoding="utf-8")
    console, proxy = compose["services"]["console"], compose["services"]["proxy"]
    assert "\n\treverse_proxy console:8080 {" in text
    assert {"--host=0.0.0.0", "--port=8080"} <= set(console["command"])
    assert (f"max_size {MOST_BODY >> 20}MiB") in text
    assert {port.partition(":")[2] for port in proxy["ports"]} == set(re.findall(r"https?_port (\d+)", text))
    assert re.findall(r"\{\$(\w+)\}", text) == ["USHER_HOST"]
    assert "USHER_HOST" in proxy["environment"]
    assert console["networks"][-1] in proxy["networks"]
    assert console["profiles"] == proxy["profiles"] == ["console"]
    assert not re.search(r"^\s*encode", text, re.MULTILINE)


def test_the_sign_in_of_the_mounted_configuration_is_sound(tmp_path: Path) -> None:
    """Taking the # away is all it needs."""
    text = (ROOT / "deploy/compose/config/usher.toml").read_text(encoding="utf-8")
    path = tmp_path / "usher.toml"
    path.write_text(re.sub(r"^#(\[console\]|\w+ = )", r"\1", text, flags=re.MULTILINE), encoding="utf-8")
    assert load_settings(env=NO_SECRETS, path=path).console.signs_in


@pytest.mark.parametrize(
    ("env", "actor"),
    [
        ({"USER": "ada"}, "ada"),
        ({"USER": "root", "SUDO_USER": "ada"}, "ada"),
        ({"USER": "ops", "USHER_ACTOR": "grace"}, "grace"),
    ],
)
def test_the_cli_tells_people_apart(compose: Any, env: dict[str, str], actor: str) -> None:
    """Every run has one account and a new host; without this nobody could approve, or anybody their
    own.
    """
    given = compose["services"]["cli"]["environment"]["USHER_ACTOR"]
    filled_in = _run("sh", "-uc", f'printf %s "{given}"', cwd=ROOT, **env).stdout  # as Compose does it
    assert filled_in == actor


def test_dockerfile_copies_what_exists_and_what_is_not_ignored() -> None:
    """Each COPY has its source in the build context."""
    shown = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert source in shown, source
                assert (ROOT / source).exists(), source


def test_init_makes_each_secret_once(tmp_path: Path) -> None:
    """The secrets are random, closed off by their folder, and never overwritten."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    secrets = tmp_path / "deploy/compose/secrets"
    for path in secrets.iterdir():
        if path.name != "README.md":
            path.unlink()  # of whoever runs a stack from this folder
    first = _run("sh", "deploy/compose/init", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    kept = {path.name: path.read_text(encoding="utf-8") for path in secrets.iterdir()}
    logins = {"worker", "cli", "beat", "flower", "metrics", "producers", "console"}
    others = {"README.md", "redis_users", "ledger_key", "flower_login", "metrics_login", "contoso", "console_secret"}
    assert set(kept) == {f"redis_{role}" for role in logins} | others
    assert re.fullmatch(r"[0-9a-f]{64}\n", kept["ledger_key"])
    passwords = {}
    for role in logins:
        found = re.fullmatch(r"redis://(usher-[a-z]+):([0-9a-f]{64})@redis:6379/0\n", kept[f"redis_{role}"])
        assert found, role
        passwords[found[1]] = found[2]
    assert len(set(passwords.values())) == len(logins)
    users = {line.split()[1]: line for line in kept["redis_users"].splitlines()}
    assert users.keys() == {"default", "health", *passwords}
    for user, password in passwords.items():
        assert f"#{hashlib.sha256(password.encode()).hexdigest()} " in users[user]
        assert password not in kept["redis_users"]
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    again = _run("sh", "deploy/compose/init", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, "")
    assert kept == {path.name: path.read_text(encoding="utf-8") for path in secrets.iterdir()}
    (secrets / "redis_beat").write_text("redis://usher-beat:changed@redis:6379/0\n", encoding="utf-8")
    assert _run("sh", "deploy/compose/init", cwd=tmp_path).stdout == "made deploy/compose/secrets/redis_users\n"
    assert hashlib.sha256(b"changed").hexdigest() in (secrets / "redis_users").read_text(encoding="utf-8")


def _start_script(service: Any) -> list[str]:
    """A service's start, as the container would run it: Compose turns $$ into $."""
    return [word.replace("$$", "$") for word in service["entrypoint"]]


def test_redis_starts_with_the_users(compose: Any, tmp_path: Path) -> None:
    """And with the settings that a ledger needs."""
    (tmp_path / "users").write_text("user default off\nuser x on nopass\n", encoding="utf-8")
    server = tmp_path / "valkey-server"
    server.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    server.chmod(0o755)
    shell, options, script = _start_script(compose["services"]["redis"])
    script = script.replace("/run/secrets/redis_users", str(tmp_path / "users"))
    done = _run(shell, options, f"PATH={tmp_path}:$PATH\n{script}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"/etc/valkey/valkey.conf --aclfile {tmp_path}/users\n"), done.stderr
    settings = (ROOT / "deploy/compose/valkey.conf").read_text(encoding="utf-8")
    for line in ("appendonly yes", "maxmemory-policy noeviction"):
        assert f"\n{line}\n" in settings


@pytest.mark.parametrize(("service", "secret"), [("redis", "redis_users"), ("flower", "flower_login")])
def test_no_service_starts_without_its_login(compose: Any, tmp_path: Path, service: str, secret: str) -> None:
    """An empty secret stops the service instead of opening it."""
    (tmp_path / secret).touch()
    shell, options, script = _start_script(compose["services"][service])
    done = _run(
        shell, options, script.replace(f"/run/secrets/{secret}", str(tmp_path / secret)), "echo", "on", cwd=tmp_path
    )
    assert done.returncode != 0
    assert done.stdout == ""


def test_flower_gets_its_login_as_a_variable_of_its_own(compose: Any, tmp_path: Path) -> None:
    """The login is read from its file when Flower starts."""
    (tmp_path / "login").write_text("usher:pw\n", encoding="utf-8")
    shell, options, script = _start_script(compose["services"]["flower"])
    script = script.replace("/run/secrets/flower_login", str(tmp_path / "login"))
    done = _run(shell, options, script, "printenv", "FLOWER_BASIC_AUTH", cwd=tmp_path)
    assert done.stdout == "usher:pw\n"
