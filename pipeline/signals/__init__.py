"""What happened that should not have: one file a signal, and here all of them, in the order in which `friction.WEIGHTS` lists them.

A signal is its file, `pipeline/signals/{name}.py` with `{NAME} = Signal(...)`, and its line in `WEIGHTS`.
"""

from importlib import import_module

from pipeline.definitions import AnySignal
from pipeline.friction import WEIGHTS

SIGNALS: tuple[AnySignal, ...] = tuple(getattr(import_module(f"{__name__}.{name}"), name.upper()) for name in WEIGHTS)
