"""The order of two events of one visitor: `event_at`, then `sequence` (none first), then `event_id`, compared by its hash.

Frames:  sequence, hash of event_id -> UInt64 `tie`; (event_at, tie) is the order
Source:  DECISIONS.md: 8 bytes of state instead of a counter and an id of 36 characters
"""

import numpy as np
import polars as pl

from pipeline.hashing import Hashes

_LARGEST = 2**31 - 2
_LOW_HALF = np.uint64(0xFFFFFFFF)


def ties(sequence: pl.Series, event_key: Hashes) -> pl.Series:
    """What decides between events of the same millisecond: the sequence in the upper half, `hash64(event_id)` in the lower."""
    counted = sequence.fill_null(-1).clip(-1, _LARGEST).to_numpy().astype(np.int64) + 1
    return pl.Series("tie", counted.astype(np.uint64) << np.uint64(32) | event_key & _LOW_HALF)
