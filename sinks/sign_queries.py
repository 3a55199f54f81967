"""The queries behind the ten signs: one file each, `signs/NN_name.sql`, that an analyst can read and run as it stands.

A row is one thing that was looked at: `site`, `journey`, `owner`, `id`, `customer_id`, `at`, `is_hit` (1: it is one of those), `detail` (why it is).
"""

from functools import cache
from importlib.resources import files


@cache
def sign_queries() -> dict[str, str]:
    """Name of a sign -> its SQL, in order."""
    found = {}
    for file in sorted(files("sinks").joinpath("signs").iterdir(), key=lambda each: each.name):
        if file.name.endswith(".sql"):
            found[file.name.removesuffix(".sql").partition("_")[2]] = file.read_text(encoding="utf-8").strip()
    return found
