"""How the frames are described that the parts of the simulator hand to each other."""

from collections.abc import Mapping

import polars as pl

TIME = pl.Datetime("ms", "UTC")


def schema(columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.Schema:
    """Column name -> dtype, in order."""
    return pl.Schema(columns)
