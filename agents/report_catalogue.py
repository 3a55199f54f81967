"""Every measure of service and experience, and the ten signs, as the page `sinks/signs/README.md`.

`python -m agents.report_catalogue` prints it; a test checks that the page is what this says.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from agents.signal_catalogue import table
from pipeline.signs import SIGNS, Sign
from pipeline.verdicts import SIDES, Measure, VerdictRules
from sinks.sign_queries import sign_queries

FILE = Path("sinks/signs/README.md")

HEAD = """\
# Service and experience: what is measured, and the ten signs

Customer service is what happens when somebody asks for help; customer experience is the whole journey. `ebbtide report` holds them side by side.
This page is made from `pipeline/verdicts.py` and `pipeline/signs.py`: `make docs`.

- A row of the views `service_weekly` and `experience_weekly` is a **site, journey, owner and week** (Monday, UTC). Journey '' is the whole site, owner '' all of a journey;
  these are counted by themselves, and are no sums of the others: a visit that met two owners is one visit of the site. `WHERE owner != ''` compares owners, `WHERE journey = ''` sites.
- Beside each measure `x` stands `n_x`, of how many it is. Nothing was measured: `x` is NULL, and `n_x` is 0. `service_facts` and `experience_facts` have the single measurements, with the ids.
- What has no journey (who ordered again, who did not) is there for the whole site alone.
- A visit counts when it is over, and a bot's never. Of documents (orders, requests, approvals, ...) what is said of visits is said of them.
- What was due after the last that was seen of a site (`sites_now`) is left out: a replay lets every wait elapse, and nobody has seen what would have come.
- **Points**: 100 from *good* on, 0 at *poor*, in between by where it lies. A side has the mean of its measures that are of at least *min n*, and no score if fewer than
  {min_measures} are. A side is **strong** from {strong_from:g} points. Two sides make the verdict: `strong service / weak experience`, the reverse, `both strong`, `both weak`, or `not enough data`.
- Where no source is named the borders are ours. A shop that knows better says so in its settings (`[report]`).
"""

SETTINGS = """\
```toml
[[report.measures]]
name = "first_reply_min"
good = 15
poor = 120

[[report.signs]]
name = "help_for_simple_tasks"
threshold = 0.1
```
"""

SIGNS_HEAD = """\
## Ten signs

Each is a share: of what was looked at, those of which it is true. It holds from the border on, and is not judged of fewer than *min n*.
One file each: a query that shows, row by row, what was looked at, and whether and why it is one of those. `ebbtide report --sign NUMBER` lists these.
"""


def catalogue() -> str:
    """The text of the page."""
    rules = VerdictRules()
    head = HEAD.format(min_measures=rules.min_measures, strong_from=rules.strong_from)
    sides = (line for side in SIDES for line in _side(side, [each for each in rules.measures if each.side == side]))
    return "\n".join([head, SETTINGS, *sides, SIGNS_HEAD, *_signs(SIGNS)])


def _side(side: str, measures: Sequence[Measure]) -> Iterator[str]:
    yield f"## {side.capitalize()}\n"
    yield from table(
        ("measure", "what it is", "unit", "good", "poor", "min n", "source"),
        (
            (
                f"`{each.name}`",
                each.meaning,
                each.unit or "-",
                "-" if each.good is None else f"{each.good:g}",
                "-" if each.poor is None else f"{each.poor:g}",
                str(each.min_n),
                each.source,
            )
            for each in measures
        ),
    )
    yield ""


def _signs(signs: Sequence[Sign]) -> Iterator[str]:
    names = list(sign_queries())
    yield from table(
        ("", "sign", "share", "holds from", "min n", "source"),
        (
            (
                str(each.number),
                f"[{each.title}]({names.index(each.name) + 1:02}_{each.name}.sql)",
                each.formula,
                f"{each.threshold:g}",
                str(each.min_n),
                each.source,
            )
            for each in signs
        ),
    )


if __name__ == "__main__":
    sys.stdout.write(f"{catalogue()}\n")
