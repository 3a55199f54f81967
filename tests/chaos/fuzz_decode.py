"""A fuzzer that follows the branches of the decoder: python -m tests.chaos.fuzz_decode RUNS SEED FOLDER

Every payload stands between two sound ones of its family, and must be what it is alone by the book; and they must be what they were.
"""

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pipeline"]):
    from pipeline.decode import decode

from schemas.contracts import FAMILIES
from tests.chaos.hostile import hostile, sound
from tests.properties.test_hostile_payloads import BOUNDS, RECORD_MS, by_the_book, same, told
from tests.wire import SCHEMA_IDS, WRITERS, framed, records

dice = random.Random(int(sys.argv[2]))
NEIGHBOURS = {family: [sound(dice, family) for _ in range(2)] for family in FAMILIES}


def test_one(octets):
    """The first byte says which family; the others are the datum."""
    family = FAMILIES[octets[0] % len(FAMILIES)] if octets else FAMILIES[0]
    before, after = NEIGHBOURS[family]
    values = [before, framed(SCHEMA_IDS[family], octets[1:]), after]
    own = {SCHEMA_IDS[family]: WRITERS[SCHEMA_IDS[family]]}
    found = told(decode(records(values, RECORD_MS), family, own, BOUNDS), family)
    for offset, payload in enumerate(values, start=100):
        expected = by_the_book(payload, family)
        assert same(found[offset], expected), (family, payload, found[offset], expected)


if __name__ == "__main__":
    runs, seed, folder = sys.argv[1:]
    for number, family in enumerate(FAMILIES):
        for good, other in [(sound(dice, family), sound(dice, family)) for _ in range(20)]:
            for place, payload in enumerate((good, hostile(dice, good, other) or b"")):
                Path(folder, f"{family}-{number}-{dice.random()}-{place}").write_bytes(bytes([number]) + payload[5:])
    atheris.Setup([sys.argv[0], f"-runs={runs}", f"-seed={seed}", "-max_len=600", "-verbosity=0", folder], test_one)
    atheris.Fuzz()
