"""Compiles the core; everything else about the project is in pyproject.toml.

MMCORE_BUILD selects a variant:
  (unset)   what is shipped
  checked   bounds checks and assertions on
  trace     line tracing for coverage, annotate pages beside the sources
  asan      address and undefined-behaviour sanitizers
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

VARIANT = os.environ.get("MMCORE_BUILD", "")
if VARIANT not in ("", "checked", "trace", "asan"):
    raise SystemExit(f"MMCORE_BUILD={VARIANT!r}: expected checked, trace or asan, or nothing")

JOBS = os.cpu_count() or 1
CHECKED = VARIANT in ("checked", "trace")
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": CHECKED,
    "wraparound": False,
    "initializedcheck": CHECKED,
    "cdivision": True,
    "binding": True,
    "embedsignature": True,
    "freethreading_compatible": False,
    "linetrace": VARIANT == "trace",
}
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
CFLAGS = ["-O3", "-g0", "-fno-strict-aliasing", "-ffp-contract=off"]
LDFLAGS = []
if VARIANT == "trace":
    MACROS += [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
elif VARIANT == "asan":
    CFLAGS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    LDFLAGS = ["-fsanitize=address,undefined"]

sources = sorted(path.as_posix() for path in Path("mmcore").glob("*.pyx"))
extensions = [
    Extension(
        source.removesuffix(".pyx").replace("/", "."),
        [source],
        define_macros=MACROS,
        extra_compile_args=CFLAGS,
        extra_link_args=LDFLAGS,
    )
    for source in sources
]


class BuildWhatIsThere(build_py):
    """Leaves nothing of an earlier build in the wheel.

    setuptools copies into ``build/lib*`` only what looks newer than what lies there, and packs the
    whole folder: a module that was removed since, or a copy of another commit with a later time,
    would be installed.
    """

    def finalize_options(self):
        self.force = True
        super().finalize_options()

    def run(self):
        super().run()
        if self.editable_mode:
            return
        compiled = self.get_finalized_command("build_ext").get_outputs()
        known = {Path(name).resolve() for name in [*self.get_outputs(), *compiled]}
        for path in Path(self.build_lib).rglob("*"):
            if path.is_file() and path.resolve() not in known:
                path.unlink()


# Workers of a parallel build may import this file again, and must not start a build of their own.
if __name__ == "__main__":
    setup(
        ext_modules=cythonize(
            extensions,
            compiler_directives=DIRECTIVES,
            annotate=VARIANT == "trace",
            nthreads=0 if VARIANT == "trace" else JOBS,
        ),
        cmdclass={"build_py": BuildWhatIsThere},
        options={"build_ext": {"parallel": JOBS}},
    )
