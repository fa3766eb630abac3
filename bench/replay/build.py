"""Compiles ``strategies.pyx`` against the installed mmcore: ``python build.py FOLDER``.

All that a strategy of one's own needs: Cython, a compiler, and mmcore's declarations, which come
with the package.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import mmcore

HERE = Path(__file__).parent
SETUP = """
from Cython.Build import cythonize
from setuptools import Extension, setup
setup(ext_modules=cythonize(
    [Extension("strategies", ["strategies.pyx"], extra_compile_args=["-O3", "-g0"])],
    include_path=[{root!r}],
    compiler_directives=dict(
        language_level=3, boundscheck=False, wraparound=False, initializedcheck=False,
        cdivision=True,
    ),
))
"""


def build(folder: Path) -> Path:
    """The compiled module in ``folder``, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "strategies.pyx", folder)
    root = Path(mmcore.__file__).parents[1]
    (folder / "setup.py").write_text(SETUP.format(root=str(root)), "utf-8")
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, check=True)
    return next(folder.glob("strategies*.so"))


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
