"""Reads what a source says, and says it short; for tests of tapes."""

import numpy as np

from mmcore.events import EVENT, Kind


def read(source):
    """All rows of a source, which is closed."""
    blocks = []
    drain(source, blocks)
    source.close()
    return np.concatenate(blocks) if blocks else np.zeros(0, EVENT)


def drain(source, blocks):
    """Read a source to its end, or to the error that ends it: its blocks go to ``blocks``."""
    while (rows := source.next_block()) is not None:
        assert len(rows) and rows.dtype == EVENT and rows.flags.c_contiguous
        blocks.append(rows.copy())


def heads(rows):
    """Kind and update id of every message."""
    out, at = [], 0
    while at < len(rows):
        row = rows[at]
        out.append((Kind(row["kind"]).name, int(row["seq"])))
        n = int(row["n_bids"]) + int(row["n_asks"])
        at += 1 + ((n + 3) // 4 if row["kind"] == Kind.DEPTH else 0)
    return out
