"""What happened that should not have: one file a signal, and here all of them, in the order in which they are listed."""

from pipeline.definitions import AnySignal
from pipeline.signals.form_error_loop import FORM_ERROR_LOOP
from pipeline.signals.page_error import PAGE_ERROR
from pipeline.signals.rage_click import RAGE_CLICK
from pipeline.signals.slow_page import SLOW_PAGE

SIGNALS: tuple[AnySignal, ...] = (
    RAGE_CLICK,
    FORM_ERROR_LOOP,
    SLOW_PAGE,
    PAGE_ERROR,
)
