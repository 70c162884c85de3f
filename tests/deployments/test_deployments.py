"""What deployments/ holds agrees with itself and with the product: commands, variables, ports, users, and no secret."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import Settings
from prefect.settings.legacy import _get_settings_fields
from typer.main import get_command

from flows.cli.app import app
from flows.services.__main__ import app as services
from flows.services.place import POOL, Services, client_settings, server_settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments"
UNITS = sorted((FOLDER / "systemd").iterdir())
MANIFESTS = sorted((FOLDER / "kubernetes").glob("*.yaml"))
SECRET = re.compile(r"(AUTH_STRING|PASSWORD|SECRET_ACCESS_KEY|ACCESS_KEY_ID|DATABASE_CONNECTION_URL)\b")
USER = 10001
PORT = "4200"
COMMANDS = set(get_command(app).commands)  # type: ignore[attr-defined]
SERVICES = {each.callback.__name__ for each in services.registered_commands if each.callback}


def variables(name: str) -> dict[str, str]:
    """What a file of the settings says."""
    lines = (FOLDER / "settings" / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    return found


def objects(kind: str) -> list[dict[str, Any]]:
    """The objects of a kind in all manifests."""
    found = [each for file in MANIFESTS for each in yaml.safe_load_all(file.read_text())]
    return [each for each in found if each["kind"] == kind]


def pods() -> Iterator[dict[str, Any]]:
    """What each pod of the manifests is."""
    for each in objects("CronJob"):
        yield each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for each in objects("Deployment"):
        yield each["spec"]["template"]["spec"]


def containers() -> Iterator[dict[str, Any]]:
    for pod in pods():
        yield from pod.get("initContainers", [])
        yield from pod["containers"]


def calls() -> Iterator[list[str]]:
    """The command lines of units, services and containers, without the folder of the program."""
    for unit in UNITS:
        yield from (found.split() for found in re.findall(r"^Exec\w+=/opt/tidemark/bin/(.*)$", unit.read_text(), re.M))
    yield from (each["command"] for each in compose().values() if "tidemark:" in each.get("image", ""))
    yield from (each["args"] for each in containers())
    yield from ([f"tidemark {unit[1]}"] for unit in instances())


def instances() -> list[re.Match[str]]:
    """The commands that timers start through the unit with a name of its own."""
    return [found for unit in UNITS for found in re.finditer(r"^Unit=tidemark@(\w+)\.service$", unit.read_text(), re.M)]


def test_every_command_that_something_starts_is_there() -> None:
    seen = set()
    for call in calls():
        text = " ".join(call)
        seen.add(text)
        if text.startswith("tidemark "):
            assert text.split()[1] in {*COMMANDS, "%i"}
        elif text.startswith("python "):
            assert re.fullmatch(r"python -P -m flows\.services (\w+)", text)
            assert text.split()[-1] in SERVICES
        elif "worker" in call:
            assert text.startswith(f"prefect worker start --pool {POOL} --type process")
        else:
            assert re.fullmatch(rf"prefect server start --host (127\.0\.0\.1|0\.0\.0\.0) --port {PORT}", text)
    assert {"tidemark refresh", "tidemark maintain", "tidemark status"} <= seen


def test_the_settings_are_those_of_the_services_on_this_machine(tmp_path: Path) -> None:
    (home := tmp_path / ".tidemark" / "prefect").mkdir(parents=True)
    (home / "password").write_text("secret\n")
    here = Services(tmp_path, int(PORT), FOLDER / "prefect.yaml")
    # What is another elsewhere: places, secrets, the database, and the address of a page behind a name.
    places = re.compile("_(HOME|HOST|PORT|API_URL|AUTH_STRING|CONNECTION_URL|ALLOWED_ORIGINS)$")
    wanted = {name: value for name, value in client_settings(here).items() if not places.search(name)}
    assert variables("worker.env") == wanted
    there = variables("server.env")
    ours = {name: value for name, value in server_settings(here).items() if not places.search(name)}
    kept = {name: value for name, value in ours.items() if name.startswith("PREFECT_SERVER_") or name not in wanted}
    assert kept.items() <= there.items()
    assert all(value == wanted.get(name, value) for name, value in there.items())


def test_every_variable_is_one_that_somebody_reads() -> None:
    known = set(_get_settings_fields(Settings))
    text = "\n".join(
        each.read_text() for each in [*UNITS, *MANIFESTS, FOLDER / "compose.yaml", *(FOLDER / "settings").iterdir()]
    )
    text += (FOLDER / "Dockerfile").read_text() + (FOLDER / "secrets.sh").read_text()
    named = set(re.findall(r"\bPREFECT_[A-Z][A-Z0-9_]+\b", text))
    assert len(named) > 15
    assert named - known == set()


def test_the_manifests_hold_the_settings_too() -> None:
    maps = {each["metadata"]["name"]: each["data"] for each in objects("ConfigMap")}
    for name in ("server", "worker"):
        assert variables(f"{name}.env").items() <= maps[f"tidemark-{name}"].items()
    assert maps["tidemark-worker"]["TIDEMARK_CONFIG"] == "/config/tidemark.toml"


def test_the_configuration_of_the_manifests_is_one(tmp_path: Path) -> None:
    import tomllib

    from flows.config.schema import Config

    (found,) = (each["data"]["tidemark.toml"] for each in objects("ConfigMap") if "tidemark.toml" in each["data"])
    assert Config.from_mapping(tomllib.loads(found), tmp_path).store.uri == "/data/store"


def test_no_file_holds_a_secret_or_is_open_to_all() -> None:
    for file in [each for each in FOLDER.rglob("*") if each.is_file() and "secrets" not in each.parent.name]:
        for line in file.read_text().splitlines():
            found = re.search(r"\b([A-Z_]+)\s*[=:]\s*[\"']?([^\s\"'#]+)", line)
            if found and SECRET.search(found[1]):
                assert found[2].startswith(("tidemark:$(random)", "$(random)", "$(value", "tidemark")), (file, line)
    published = [port for each in compose().values() for port in each.get("ports", [])]
    assert published == [f"127.0.0.1:{PORT}:8080"]
    assert "listen 8080;" in (FOLDER / "nginx.conf").read_text()
    assert {each["spec"].get("type", "ClusterIP") for each in objects("Service")} == {"ClusterIP"}


def test_secrets_are_made_once_agree_and_are_their_owners_alone(tmp_path: Path) -> None:
    def make() -> dict[str, str]:
        subprocess.run(["sh", str(FOLDER / "secrets.sh"), str(tmp_path / "s")], check=True, capture_output=True)
        return {each.name: each.read_text() for each in (tmp_path / "s").iterdir()}

    made = make()
    assert make() == made
    assert {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "s").iterdir()} == {0o600}
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    values = {name: dict(line.split("=", 1) for line in text.splitlines()) for name, text in made.items()}
    server, worker = values["server.env"], values["worker.env"]
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == worker["PREFECT_API_AUTH_STRING"]
    assert server["PREFECT_SERVER_DATABASE_PASSWORD"] == values["postgres.env"]["POSTGRES_PASSWORD"]
    assert values["objects.env"].items() <= worker.items()
    assert len(set(re.findall(r"[0-9a-f]{48}", str(values)))) == 3
    files = {Path(each).name for service in compose().values() for each in service.get("env_file", ())}
    assert {name for name in files if (tmp_path / "s" / name).is_file()} == set(made) & files == set(made)


def test_compose_names_services_and_volumes_that_are_there() -> None:
    whole = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    for name, each in whole["services"].items():
        assert set(each.get("depends_on", {})) <= set(whole["services"]) - {name}
        assert "image" in each
        named = [volume.split(":")[0] for volume in each.get("volumes", ())]
        assert {volume for volume in named if not volume.startswith((".", "$"))} <= set(whole["volumes"])
        waits = [to for to, how in each.get("depends_on", {}).items() if how["condition"] == "service_healthy"]
        assert [to for to in waits if "healthcheck" not in whole["services"][to]] == []
    tidemark = [each for each in whole["services"].values() if each["image"].startswith("tidemark:")]
    assert [each["read_only"] and each["cap_drop"] == ["ALL"] for each in tidemark] == 3 * [True]
    assert whole["services"]["server"]["environment"]["PREFECT_SERVER_DATABASE_HOST"] in whole["services"]


def test_pods_are_nobody_and_are_looked_after() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == USER
        assert pod["automountServiceAccountToken"] is False
        volumes = {each["name"] for each in pod["volumes"]}
        for each in [*pod.get("initContainers", []), *pod["containers"]]:
            assert {mount["name"] for mount in each["volumeMounts"]} <= volumes
    for each in containers():
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(each["resources"]["requests"])
        assert "memory" in each["resources"]["limits"]
    for deployment in objects("Deployment"):
        assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
        (main,) = deployment["spec"]["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe"} <= set(main)
    assert {each["image"] for each in containers()} == {compose()["server"]["image"]}


def test_the_image_is_of_the_lock_file_and_of_nobody() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    (uv,) = re.findall(r"UV_VERSION=(\S+)", text)
    assert f"UV_VERSION := {uv}\n" in (ROOT / "Makefile").read_text()
    assert "--require-hashes" in text
    assert "UV_COMPILE_BYTECODE=1" in text
    assert "PYTHONDONTWRITEBYTECODE" not in text
    assert f"USER {USER}:{USER}" in text
    allowed = re.findall(r"^!(\S+)$", (FOLDER / "Dockerfile.dockerignore").read_text(), re.M)
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M) for word in line.split()]
    assert set(copied) == set(allowed)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    packages = re.findall(r"include = \[(.*)\]", (ROOT / "pyproject.toml").read_text())[0]
    assert set(re.findall(r'"(\w+)\*"', packages)) <= set(copied)


def test_the_units_are_ones_that_systemd_takes(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze on this machine")
    for unit in UNITS:
        # The program is installed where the unit says, and not on every machine that runs tests.
        (tmp_path / unit.name).write_text(re.sub(r"/opt/tidemark/bin/\w+", "/bin/true", unit.read_text()))
    done = subprocess.run(
        [analyze, "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_units_give_up_their_rights() -> None:
    for unit in (each for each in UNITS if each.suffix == ".service"):
        text = unit.read_text()
        for line in ("User=tidemark", "NoNewPrivileges=true", "ProtectSystem=strict", "PrivateTmp=true", "UMask=0077"):
            assert f"\n{line}\n" in text, (unit.name, line)
        # A home that ProtectHome leaves open: what is needed of a remote store is kept there.
        state = re.findall(r"^StateDirectory=(.*)$", text, re.MULTILINE)
        assert re.findall(r"^Environment=HOME=(.*)$", text, re.MULTILINE) == [f"/var/lib/{each}" for each in state]
