"""What people hold in their hands: device, browser, system, release."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.draws import Ints


@dataclass(frozen=True)
class Device:
    """One combination seen in a shop's statistics."""

    device: str
    browser: str | None
    """None: the shop's own app."""
    os: str
    share: float
    width_px: int
    height_px: int
    release: str | None
    """Release of the app; None: a page, whose release is the shop's of that week."""


DEVICES = (
    Device("mobile", "Safari", "iOS", 0.24, 390, 844, None),
    Device("mobile", "Chrome", "Android", 0.22, 412, 915, None),
    Device("mobile", "Samsung Internet", "Android", 0.05, 384, 854, None),
    Device("desktop", "Chrome", "Windows", 0.19, 1536, 864, None),
    Device("desktop", "Edge", "Windows", 0.06, 1536, 864, None),
    Device("desktop", "Safari", "macOS", 0.06, 1440, 900, None),
    Device("desktop", "Firefox", "Linux", 0.02, 1920, 1080, None),
    Device("tablet", "Safari", "iPadOS", 0.05, 820, 1180, None),
    Device("app", None, "iOS", 0.04, 390, 844, "8.4.1"),
    Device("app", None, "iOS", 0.02, 390, 844, "8.3.0"),
    Device("app", None, "Android", 0.04, 412, 915, "8.4.0"),
    Device("app", None, "Android", 0.01, 412, 915, "7.9.2"),
    Device("other", "HeadlessChrome", "Linux", 0.0, 1280, 720, None),
)
"""The last one is what bots use."""

BOT_DEVICE = len(DEVICES) - 1

_SHARES = np.array([device.share for device in DEVICES])

WIDTH_PX = np.array([device.width_px for device in DEVICES])
HEIGHT_PX = np.array([device.height_px for device in DEVICES])

COLUMNS = pl.DataFrame(
    {
        "device": [device.device for device in DEVICES],
        "browser": [device.browser for device in DEVICES],
        "os": [device.os for device in DEVICES],
        "app_version": [device.release for device in DEVICES],
    }
)
"""What an event says of its device, a row a device."""


def devices(rng: np.random.Generator, n: int) -> Ints:
    """The device of n people, as an index into DEVICES."""
    return rng.choice(len(DEVICES), n, p=_SHARES).astype(np.int64)
