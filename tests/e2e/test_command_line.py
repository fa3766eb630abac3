"""The command line: quick, short, the same exit codes everywhere, and no traceback on Ctrl-C."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmcore import commands
from mmcore.commands import execute

SMALL = '[[instrument]]\nsymbol = "BTCUSDT"\n'
COMMANDS = [[], ["demo"], ["run"], ["check"], ["init"], ["tape"], ["tape", "info"], ["venue"]]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
}


def mmcore(*arguments, cwd=None, **options):
    return subprocess.run(
        [sys.executable, "-m", "mmcore", *arguments],
        cwd=cwd,
        env={**ENVIRONMENT, **options},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def quickest(*arguments, cwd=None):
    """Processor seconds, best of five: what the program needs, not what the machine was doing."""
    took = []
    for _ in range(5):
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        mmcore(*arguments, cwd=cwd)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
    return min(took)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_short_and_names_what_it_takes(command, capsys):
    assert execute([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: python -m mmcore")
    assert len(text.splitlines()) <= 30


def test_every_command_has_a_whole_sentence_in_the_list(capsys):
    for group in ([], ["tape"]):
        assert execute([*group, "--help"]) == 0
        assert "...\n" not in capsys.readouterr().out.partition("Commands:")[2]


def test_help_is_quick_and_loads_nothing_heavy():
    assert quickest("--help") < 0.25
    heavy = {"numpy", "msgspec", "rich", "orjson", "sqlite3", "asyncio"}
    code = (
        "import sys\nfrom mmcore.commands import execute\nexecute(['--help'])\n"
        f"loaded = {heavy!r} & set(sys.modules)\nsys.exit(str(loaded) if loaded else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_configuration_error_is_there_at_once(tmp_path):
    (tmp_path / "c.toml").write_text(SMALL + "kapa = 1\n")
    assert quickest("run", "c.toml", cwd=tmp_path) < 0.4


def test_version_says_whether_the_core_is_there():
    done = mmcore("--version")
    assert done.returncode == 0
    assert "compiled core: active" in done.stdout
    assert re.match(r"mmcore: \d+\.\d+\.\d+ \(distribution mmcore-maker\)\n", done.stdout)


def test_version_names_another_distribution_of_that_name(tmp_path, monkeypatch, capsys):
    other = tmp_path / "mmcore-9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: mmcore\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert execute(["--version"]) == 0
    assert "another distribution named mmcore (9.9)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version", "--json"],
        ["init", "new.toml", "--json"],
        ["check", "c.toml", "--json"],
        ["run", "c.toml", "--seconds", "2", "--json"],
    ],
    ids=" ".join,
)
def test_machines_get_json_and_the_next_step(arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(SMALL)
    assert execute(arguments) == 0
    answers = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert answers[-1]["next"]


@pytest.mark.parametrize("arguments", [["--version"], ["init", "n.toml"], ["check", "c.toml"]])
def test_people_get_the_next_step(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(SMALL)
    assert execute(arguments) == 0
    assert re.search(r"^next: ", capsys.readouterr().out, re.MULTILINE)


def test_a_name_in_an_environment_variable_is_checked_too(tmp_path):
    (tmp_path / "c.toml").write_text(SMALL)
    done = mmcore("run", "c.toml", cwd=tmp_path, MMCORE_LOG="loud")
    assert done.returncode == 2
    assert "'debug'" in done.stderr


def test_a_defect_is_one_sentence_and_a_file(tmp_path, monkeypatch, capsys):
    def broken(*_arguments, **_options):
        raise RuntimeError("what nobody foresaw\nand more")

    monkeypatch.setattr(commands, "_version", broken)
    monkeypatch.setattr(commands.tempfile, "tempdir", str(tmp_path))
    assert execute(["--version"]) == 1
    text = capsys.readouterr().err
    assert "Traceback" not in text and len(text.splitlines()) == 1
    (file,) = tmp_path.iterdir()
    assert str(file) in text
    assert "Traceback" in file.read_text()


def test_a_missing_dependency_is_no_defect_of_ours(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mmcore.template", None)
    assert execute(["init"]) == 2
    assert "mmcore.template is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("delay_s", [0.05, 0.08, 0.12, 0.16, 0.2, 0.3])
def test_ctrl_c_while_loading_ends_quietly(delay_s, tmp_path):
    (tmp_path / "c.toml").write_text(SMALL)
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "mmcore", "run", "c.toml"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # the interpreter itself is there once mmcore's first module has been loaded
    while "mmcore.errors" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert re.search("SIGINT|Ctrl-C", errors + out)


def test_ctrl_c_before_the_command_line_is_loaded_shows_no_traceback(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'mmcore.__main__':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt)\n"
    )
    path = os.pathsep.join([str(tmp_path), ENVIRONMENT["PYTHONPATH"]])
    done = mmcore("--version", PYTHONPATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_library_leaves_ctrl_c_to_its_user():
    program = "import signal, mmcore; print(signal.getsignal(2) is signal.default_int_handler)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize("arguments", ["check c.toml", "run c.toml --seconds 20", "--help"])
def test_a_reader_that_goes_away_is_no_failure(arguments, tmp_path):
    (tmp_path / "c.toml").write_text(SMALL)
    readable, writable = os.pipe()
    os.close(readable)
    with os.fdopen(writable, "w") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "mmcore", *arguments.split()],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", ["check c.toml", "run c.toml --seconds 2", "--help"])
def test_without_any_output_the_work_is_done_all_the_same(arguments, tmp_path):
    (tmp_path / "c.toml").write_text(SMALL)
    command = f'exec "{sys.executable}" -m mmcore {arguments} <&- >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=ENVIRONMENT, timeout=30, check=False
    )
    assert done.returncode == 0


def test_a_group_without_a_command_shows_its_help(capsys):
    assert execute(["tape"]) == 0
    assert "info" in capsys.readouterr().out


def test_a_family_of_venues_is_answered_with_its_members(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert execute(["init", "--venue", "bybit"]) == 2
    assert "--venue bybit-linear or bybit-spot?" in capsys.readouterr().err
    assert execute(["init", "--venue", "bybit-spot", "--symbol", "FOO"]) == 2
    assert capsys.readouterr().err.count("or take --symbol") == 1


@pytest.mark.parametrize("command", ["run", "backtest"])
def test_a_page_cannot_be_a_folder_and_nothing_runs(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SMALL)
    assert execute([command, "mine.toml", "--report", "."]) == 2
    assert "is a directory; nothing was done" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_next_step_can_be_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert execute(["init", "two words.toml"]) == 0
    assert execute(["check", "two words.toml"]) == 0
    said = capsys.readouterr().out
    assert "mmcore check 'two words.toml'" in said
    assert "mmcore run 'two words.toml'" in said


@pytest.mark.parametrize("name", ["mine.toml", "two words.toml"])
def test_the_next_step_of_a_run_names_the_file_that_was_run(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(SMALL)
    assert execute(["run", name, "--seconds", "30"]) == 0
    shown = name if " " not in name else f"'{name}'"
    assert f"next:        python -m mmcore check {shown} says" in capsys.readouterr().out
