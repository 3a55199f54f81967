"""`ebbtide replay --topic`, as people and programs meet it."""

from collections.abc import Sequence
from pathlib import Path

from agents import logs, terminal
from agents.cli_options import by_partition, offsets, time_of
from agents.defects import end_process
from agents.mishaps import MISHAPS
from agents.replayed_range import Range, fold_range
from agents.settings_sources import load


def run(settings: Path | None, topic: str, said: tuple[Sequence[str], ...], data_dir: Path | None, *, as_json: bool) -> None:
    """Fold a range of a topic again; `said`: --from, --to and --watermark; `data_dir`: --data-dir. A defect ends this process as it ends a worker."""
    first, last, watermarks = said
    times = {partition: time_of(text) for partition, text in by_partition(watermarks).items()}
    chosen = Range(offsets(first), offsets(last), {partition: round(at.timestamp() * 1_000) for partition, at in times.items()})
    told = load(settings)
    logs.begin(fmt=told.telemetry.log_format)
    try:
        folded = fold_range(told, topic, chosen, data_dir)
    except MISHAPS:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a native library is no Exception
        end_process(error)
    if as_json:
        terminal.say_json(folded.as_json())
        return
    console = terminal.told()
    console.print(terminal.counts("records of the batch", folded.fates))
    console.print(terminal.counts("rows it would say", folded.tables))
    console.print(f"{folded.before:,} records were folded before it; nothing was written")
