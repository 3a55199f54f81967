"""Partitions of keys are those of Kafka's own clients."""

import pytest

from agents.partitioner import murmur2, partition_of

KAFKAS_OWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""Signed hashes, from the tests of Kafka's Java client (UtilsTest.testMurmur2)."""


@pytest.mark.parametrize("key", KAFKAS_OWN)
def test_a_key_has_the_hash_that_the_java_client_gives_it(key):
    assert murmur2(key) == KAFKAS_OWN[key] % 2**32


def test_a_negative_hash_still_gives_a_partition():
    assert partition_of(b"foobar", 6) == (-790332482 & 0x7FFFFFFF) % 6


def test_a_topic_without_partitions_is_refused():
    with pytest.raises(ValueError, match="at least one partition"):
        partition_of(b"abc", 0)
