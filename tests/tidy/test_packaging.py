"""What the wheel is told to hold is what lies in the tree."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import mmcore


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_with_python_is_a_listed_package(root, project):
    """The list is explicit: a new folder works in a checkout, and is missing from the wheel."""
    folders = {
        path.parent.relative_to(root).as_posix()
        for top in ("mmcore", "adapters")
        for path in (root / top).rglob("*.py")
        if not path.relative_to(root).as_posix().startswith("mmcore/adapters/")
    }
    setuptools = project["tool"]["setuptools"]
    places = setuptools["package-dir"]
    listed = {
        places.get(name) or name.replace("mmcore.adapters", "adapters").replace(".", "/")
        for name in setuptools["packages"]
    }
    assert folders == listed


def test_every_data_file_is_shipped(root, project):
    """Stubs, declarations, packaged configuration: all of it is matched by package-data."""
    for package, patterns in project["tool"]["setuptools"]["package-data"].items():
        folder = root / project["tool"]["setuptools"]["package-dir"][package]
        shipped = {path for pattern in patterns for path in folder.glob(pattern)}
        not_shipped = {".py", ".pyx", ".c", ".so", ".pyc", ".html"}  # code, and what a build left
        left_out = {
            path.name
            for path in folder.iterdir()
            if path.is_file() and path.suffix not in not_shipped and path not in shipped
        }
        assert not left_out, package


def test_entry_points_name_things_that_exist(project):
    points = list(project["project"]["scripts"].values())
    for group in project["project"].get("entry-points", {}).values():
        points += group.values()
    for point in points:
        module, _, name = point.partition(":")
        assert hasattr(import_module(module), name), point


def test_the_version_is_said_once_and_noted(root, project):
    assert project["project"]["version"] == mmcore.__version__
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(
        rf"^## \[(?:{re.escape(mmcore.__version__)}|Unreleased)\]", changelog, re.MULTILINE
    )


def test_the_makefile_and_contributing_name_the_same_commands(root):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    commands = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)) - {"help"}
    page = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert commands <= set(re.findall(r"`make ([a-z]+)`", page))


def test_a_wheel_holds_nothing_of_an_earlier_build(root, tmp_path):
    """Whatever lies in the build folder: a module removed since, a copy with a later time."""
    pytest.importorskip("Cython")
    package = tmp_path / "lib" / "mmcore"
    package.mkdir(parents=True)
    for name in ("removed.py", "_removed.cpython-311-x86_64-linux-gnu.so", "commands.py"):
        (package / name).write_text("of another commit")
        os.utime(package / name, (2**31, 2**31))
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "lib")]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=120)
    source = root / "mmcore" / "commands.py"
    assert (package / "commands.py").read_bytes() == source.read_bytes()
    assert not list(package.glob("*removed*"))
