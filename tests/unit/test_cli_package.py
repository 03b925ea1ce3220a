"""What is installed: every file that a service reads beside its modules is packaged."""

import tomllib
from pathlib import Path

import pytest

from waiting_room.keyspace import ACL_COMMANDS, SFU_ACL_COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
# For the type checker of the pages only.
NOT_SERVED = {"web/tsconfig.json"}


@pytest.mark.parametrize("package", PROJECT["tool"]["setuptools"]["packages"])
def test_every_data_file_of_a_package_is_named_in_pyproject(package: str) -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"].get(package, [])
    directory = ROOT / package.replace(".", "/")
    packaged = {path for pattern in patterns for path in directory.glob(pattern)}
    there = {
        path
        for path in directory.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    missing = {str(path.relative_to(ROOT)) for path in there - packaged} - NOT_SERVED
    assert missing == set()


def test_every_package_is_named_in_pyproject() -> None:
    settings = PROJECT["tool"]
    packages = settings["setuptools"]["packages"]
    top = [name for name in packages if "." not in name]
    assert settings["mypy"]["packages"] == top
    assert settings["importlinter"]["root_packages"] == top
    # setuptools leaves out a package below another that is not named itself.
    below = {path.parent for name in top for path in (ROOT / name).rglob("*/__init__.py")}
    below -= {ROOT / name for name in top}
    assert {str(path.relative_to(ROOT)).replace("/", ".") for path in below} == {
        name for name in packages if "." in name
    }


def test_the_redis_user_described_to_operators_is_the_one_that_is_needed() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    rules = [part.partition("\n\n")[0].split() for part in text.split("ACL SETUSER")[1:]]
    allowed = [{word[1:] for word in rule if word[0] == "+"} for rule in rules]
    assert allowed == [set(ACL_COMMANDS), set(SFU_ACL_COMMANDS)]
