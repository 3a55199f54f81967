"""An internal topic in a replay: what folds pass on, as the fold behind it is given it."""

from collections.abc import Iterable
from datetime import datetime

import polars as pl

from pipeline.passed import Passed, heard


class ReplayedTopic:
    """One topic. It has one partition, and a message is what was passed on together."""

    def __init__(self, to: str, *tables: str) -> None:
        """Take where rows go, and the tables of those that are heard there."""
        self._to, self._schema, self._version = to, heard(*tables), 0

    @property
    def nothing(self) -> pl.DataFrame:
        """No rows: time alone goes on."""
        return self._schema.to_frame()

    def heard(self, passed: Iterable[Passed], reached: datetime | None) -> pl.DataFrame:
        """What is for this topic; `reached`: how far time has come before it. Frames: -> passed.heard."""
        self._version += 1
        frames = [self.nothing]
        for each in passed:
            if each.to == self._to and each.rows.height:
                beside = {
                    "family": pl.lit(each.table),
                    "is_forwarded": pl.lit(each.is_forwarded),
                    "version": pl.lit(self._version, pl.Int64),
                    "watermark": pl.lit(reached, self._schema["watermark"]),
                    "offset": pl.lit(self._version, pl.Int64),
                }
                columns = (
                    (beside[name] if name in beside else pl.col(name) if name in each.rows.columns else pl.lit(None, dtype))
                    .cast(dtype)
                    .alias(name)
                    for name, dtype in self._schema.items()
                )
                frames.append(each.rows.select(columns))
        return pl.concat(frames)
