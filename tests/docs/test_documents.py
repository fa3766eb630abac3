"""Every block of README and docs is run or loaded, and whatever the pages name exists.

Python blocks run, in the order of their page and in one namespace.  TOML blocks load as
configurations, or as fault scripts.  Console blocks are read: each command, option and file in them
exists, and those that are over at once are run.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from sybil import Sybil
from sybil.example import Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from mmcore import config
from mmcore.box import script
from mmcore.commands import mmcore as command_line

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LANGUAGES = {"python", "toml", "console", "text"}
QUICK = {"--help", "--version", "init", "check"}
# Programs of other people that the pages tell users to type.
THEIRS = {".", "bash", "cd", "git", "pip", "python", "sudo", "wsl"}
PLACE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*\w|\w+\.(?:toml|md|py|pyx|pxd|in))`")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[\w-]+)?\)")
# Named as patterns, as what a run makes, or as what stands beside the repository.
NOT_OF_THE_TREE = re.compile(r"^(?:\.\./|dist/|runs/|vX|my[_.]|\w+\.toml$)|[{*]")


def words(line: str) -> list[str]:
    """A typed line as words, without prompt, environment and comment."""
    parts = shlex.split(line.removeprefix("$ "), comments=True)
    while parts and re.match(r"^\w+=", parts[0]):
        del parts[0]
    return parts


def check_option(command: click.Command, word: str) -> None:
    known = {name for p in command.params for name in [*p.opts, *p.secondary_opts]} | {"--help"}
    assert word.split("=", maxsplit=1)[0] in known, f"{command.name} has no option {word}"


def check_mmcore(arguments: list[str]) -> None:
    """Commands and options of ``python -m mmcore`` exist, and so do the files it is given."""
    command: click.Command = command_line
    for word in arguments:
        if word.startswith("-"):
            check_option(command, word)
        elif isinstance(command, click.Group):
            assert word in command.commands, f"there is no command {word}"
            command = command.commands[word]
        elif word.endswith(".toml") and command.name != "init":
            assert (ROOT / word).exists() or word.startswith("my"), f"there is no file {word}"


def check_make(targets: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {word for word in targets if "=" not in word} <= known, targets


def evaluate_console(example: Example) -> None:
    """Lines with a prompt are commands, the others what they print."""
    for line in example.parsed.splitlines():
        if not line.startswith("$ "):
            continue
        parts = words(line)
        if parts[:1] == ["make"]:
            check_make(parts[1:])
        elif parts[:3] == ["python", "-m", "mmcore"] or parts[:1] == ["mmcore"]:
            arguments = parts[3:] if parts[0] == "python" else parts[1:]
            check_mmcore(arguments)
            if arguments and arguments[0] in QUICK:
                run_mmcore(arguments, Path(example.namespace["folder"]))
        else:
            assert parts[0] in THEIRS, f"{example.path}: {line}"


def run_mmcore(arguments: list[str], folder: Path) -> None:
    if not (folder / "examples").exists():
        shutil.copytree(ROOT / "examples", folder / "examples")
        shutil.copy(ROOT / "config.toml", folder)
    if arguments[0] == "init":
        (folder / "config.toml").unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "mmcore", *arguments],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"


def evaluate_toml(example: Example) -> None:
    if str(example.parsed).startswith("[[fault]]"):
        script.loads(str(example.parsed), f"{example.path}:{example.line}")
        return
    config.loads(str(example.parsed), f"{example.path}:{example.line}")


SYBIL = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=0),
        CodeBlockParser("toml", evaluate_toml),
        CodeBlockParser("console", evaluate_console),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = SYBIL.parse(page)
    document.namespace["folder"] = str(tmp_path)
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_says_which_language_a_block_is_in(page):
    fences = re.findall(r"^ *```([^\n]*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) % 2 == 0, "a block is left open"
    assert set(fences[::2]) <= LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    for place in PLACE.findall(text):
        if NOT_OF_THE_TREE.search(place):
            continue
        if not any((folder / place).exists() for folder in (ROOT, ROOT / "mmcore", page.parent)):
            missing.append(place)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_that_a_page_names_in_its_text_exist(page):
    for typed in re.findall(r"`((?:python -m mmcore|make) [^`\n]+)`", page.read_text("utf-8")):
        parts = words(typed.replace("…", ""))
        if parts[0] == "make":
            check_make(parts[1:])
        else:
            check_mmcore(parts[3:])
