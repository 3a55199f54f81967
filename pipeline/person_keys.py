"""Which holders rows can be of: whoever takes a partition over looks there for what was said.

Frames:  rows of frames.TABLES -> keys of holders
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from pipeline.hashing import Hashes
from pipeline.person_records import holder_keys

_KINDS = {
    "customer": "customer_id",
    "visitor": "visitor_id",
    "account": "account_id",
    "order": "order_id",
    "parcel": "delivery_id",
    "ticket": "ticket_id",
    "event": "answer_id",
}


def keys_of(partition: int, said: Mapping[str, pl.DataFrame]) -> Hashes:
    """Keys of all holders that these rows name, ascending, each once."""
    found: list[Hashes] = [np.zeros(0, dtype=np.uint64)]
    for rows in said.values():
        if "lies_at" in rows.columns:  # of what was sent on
            at = rows.select("site", "lies_at").unique()
            found.append(holder_keys(np.full(at.height, partition, dtype=np.int32), at["site"], at["lies_at"]))
            continue
        for kind, name in _KINDS.items():
            if name not in rows.columns:
                continue
            named = rows.select("site", pl.col(name).alias("id")).filter(pl.col("id").fill_null("") != "").unique()
            key = named.select(pl.concat_str(pl.lit(f"{kind}:"), "id").alias("key"))["key"]
            found.append(holder_keys(np.full(named.height, partition, dtype=np.int32), named["site"], key))
    keys: Hashes = np.unique(np.concatenate(found))
    return keys
