"""Makes hftbacktest's arrays of recordings with its own converter: ``PYTHON tapes.py OUT FILE...``.

FILE: a raw recording of Binance futures, one message a line.  Each becomes OUT/NAME.npz.
"""

import contextlib
import sys
from pathlib import Path

from hftbacktest.data.utils import binancefutures


def main() -> None:
    folder = Path(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        for name in sys.argv[2:]:
            out = folder / f"{Path(name).name.split('.')[0]}.npz"
            binancefutures.convert(name, output_filename=str(out), combined_stream=True)


if __name__ == "__main__":
    main()
