"""What every test may use: the recorded data, and hypothesis that repeats itself in CI."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
# What several test files share; here rather than in an ini file, which wheels are tested without.
sys.path.insert(0, str(ROOT / "tests" / "support"))

# print_blob: a failure prints the line that reproduces it, whatever machine it happened on.
settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# A suite in the background, or under nohup, is started with these ignored, and so would be
# every process that a test starts: what Ctrl-C and a closed terminal do could not be seen.
for _name, _usual in {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}.items():
    _signal = getattr(signal, _name, None)
    if _signal is not None and signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _usual)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root, or the folder that holds tests/ where only the tests were copied."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded tapes, beside the repository; a test that needs them is skipped without them."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no ../shared/data beside the repository")
    return path
