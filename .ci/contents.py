"""Compares what the wheel holds with what lies in the tree.  usage: contents DIST"""

import sys
import tarfile
import zipfile
from pathlib import Path

SHIPPED = {".py", ".pyi", ".pxd", ".toml", ".typed"}
NAMED = {"py.typed", "report.html"}  # other pages are what a build left
ROOT = Path(__file__).parents[1]


def expected() -> set[str]:
    """Names of the wheel's files, a compiled module by its stem."""
    names = set()
    packages = {"mmcore": "mmcore", "mmcore/box": "mmcore/box", "adapters": "mmcore/adapters"}
    for folder, package in packages.items():
        for path in (ROOT / folder).iterdir():
            if path.suffix in SHIPPED or path.name in NAMED:
                names.add(f"{package}/{path.name}")
            elif path.suffix == ".pyx":
                names.add(f"{package}/{path.stem}.so")
    return names


def main(dist: Path) -> int:
    """0 when wheel and sdist hold what they should, 1 with the differences otherwise."""
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (top,) = (n for n in archive.namelist() if n.endswith(".dist-info/top_level.txt"))
        top_level = archive.read(top).decode().split()
    held = {
        f"{n.split('.')[0]}.so" if n.endswith((".so", ".pyd")) else n for n in names
    }
    problems = [f"missing from the wheel: {name}" for name in sorted(expected() - held)]
    problems += [f"in the wheel and not in the tree: {name}" for name in sorted(held - expected())]
    if top_level != ["mmcore"]:
        problems.append(f"the wheel puts {top_level} on the path, not mmcore alone")
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        left_over = [n for n in archive.getnames() if n.endswith((".so", ".pyc"))]
        left_over += [n for n in archive.getnames() if "/mmcore/" in n and n.endswith(".c")]
    problems += [f"a build product in the sdist: {name}" for name in left_over]
    print("\n".join(problems) or f"{wheel.name}: {len(held)} files, as in the tree")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
