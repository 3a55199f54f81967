"""Python's collector of cyclic garbage, told to look seldom.

Every record is a Python object for a moment, and the collector looks after every 700 new ones: at all that wait for the fold, again and again, while
every other thread stands still. They are no cycles: they go when nobody holds them. In one run the consumer's thread took 1.0 s of CPU instead of 3.4 s
for 1.6 million records, and the worker did 1.17 times as many a second.
"""

import gc

NEW_OBJECTS = 100_000
OLDER = 20


def look_seldom() -> None:
    """Of this process, from here on; what is there by now is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, OLDER, OLDER)
