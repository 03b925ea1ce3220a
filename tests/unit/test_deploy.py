"""Files of deploy/ and documents name settings that exist, with values that a server takes."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from konsil import setting_rules, settings

ROOT = Path(__file__).parents[2]
FILES = sorted(
    str(path.relative_to(ROOT))
    for path in (*(ROOT / "deploy").rglob("*"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md")
    if path.is_file()
)
MANIFESTS = ROOT / "deploy" / "kubernetes" / "konsil.yaml"
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
SECRETS = {"redis-url": "rediss://konsil:x@redis.example:6379/0", "turn-secret": "s3cret"}
KNOWN = {settings.environment_name(name) for name in settings.table()} | {"KONSIL_CONFIG"}


def pods() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all(MANIFESTS.read_text("utf-8"))
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in documents
        if "template" in one["spec"]
    }


def loaded(pod: dict[str, Any]) -> tuple[settings.Settings, tuple[str, ...]]:
    """What a container's environment sets."""
    (container,) = pod["containers"]
    environment = {
        one["name"]: one.get("value") or SECRETS[one["valueFrom"]["secretKeyRef"]["key"]]
        for one in container["env"]
    }
    return settings.load({}, environment)


def unit(path: Path) -> dict[str, list[str]]:
    """The section Service; a key may come several times."""
    values: dict[str, list[str]] = {}
    section = path.read_text("utf-8").partition("[Service]")[2].partition("\n[")[0]
    for line in section.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


@pytest.mark.parametrize("name", FILES)
def test_every_variable_that_is_named_is_a_setting(name: str) -> None:
    # Not the beginning of several: KONSIL_OIDC_…
    words = re.compile(r"KONSIL_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_…])")
    named = set(words.findall((ROOT / name).read_text("utf-8")))
    assert named <= KNOWN


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".yaml", ".yml"))])
def test_yaml_can_be_read(name: str) -> None:
    assert all(list(yaml.safe_load_all((ROOT / name).read_text("utf-8"))))


@pytest.mark.parametrize("name", ["konsil", "konsil-media"])
def test_a_server_takes_what_kubernetes_sets(name: str) -> None:
    taken, remarks = loaded(pods()[name])
    assert remarks == ()
    setting_rules.check_serve(taken)


@pytest.mark.parametrize("name", ["konsil", "konsil-media"])
def test_kubernetes_waits_longer_than_a_server_drains(name: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]
    before = container.get("lifecycle", {}).get("preStop", {"exec": {"command": ["0"]}})
    taken, _ = loaded(pod)
    needed = int(before["exec"]["command"][-1]) + taken.drain_seconds
    assert pod["terminationGracePeriodSeconds"] > needed


def test_systemd_waits_longer_than_a_server_drains() -> None:
    (seconds,) = unit(ROOT / "deploy" / "systemd" / "konsil.service")["TimeoutStopSec"]
    assert int(seconds) > settings.Settings().drain_seconds + 5


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_sets_paths_alone(path: Path) -> None:
    made = dict(line.split("=", 1) for line in unit(path)["Environment"])
    assert made == {"KONSIL_CONFIG": "/etc/konsil.toml", "KONSIL_STATE_DIR": "/var/lib/konsil"}


def test_a_timer_has_its_service() -> None:
    for path in (ROOT / "deploy" / "systemd").glob("*.timer"):
        timer = configparser.ConfigParser(strict=True)
        timer.read(path, "utf-8")
        assert "oncalendar" in timer["Timer"]
        assert path.with_suffix(".service") in UNITS


def test_the_container_has_every_package() -> None:
    text = (ROOT / "deploy" / "container" / "Containerfile").read_text("utf-8")
    copied = set(re.findall(r"^COPY (\w+) \w+$", text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["setuptools"]["packages"]
    assert copied == {name for name in packages if "." not in name}
