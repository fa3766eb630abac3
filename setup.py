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

# Workers of a parallel build may import this file again, and must not start a build of their own.
if __name__ == "__main__":
    setup(
        ext_modules=cythonize(
            extensions,
            compiler_directives=DIRECTIVES,
            annotate=VARIANT == "trace",
            nthreads=0 if VARIANT == "trace" else JOBS,
        ),
        options={"build_ext": {"parallel": JOBS}},
    )
