"""Which partition a key belongs to, as Kafka's own clients choose it: the check that emitters and broker agree.

All events of a visitor must lie in one partition. Java clients, and librdkafka with `murmur2_random`, put a key into the partition that
this module says; an emitter with another partitioner (librdkafka's own default is CRC32) splits no visitor by itself, but does beside one of these.

Source:  org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey; rdmurmur2.c of librdkafka
"""

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_SHIFT = 24
_32_BITS = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF


def partition_of(key: bytes, n_partitions: int) -> int:
    """Partition of a key in a topic of so many; a record without a key may lie anywhere.

    Raises: ValueError if the topic has none.
    """
    if n_partitions < 1:
        message = f"a topic has at least one partition, not {n_partitions}"
        raise ValueError(message)
    return (murmur2(key) & _POSITIVE) % n_partitions


def murmur2(key: bytes) -> int:
    """The 32 bits of Murmur2 with Kafka's seed, unsigned."""
    hashed = _SEED ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * _MULTIPLIER & _32_BITS
        word = (word ^ word >> _SHIFT) * _MULTIPLIER & _32_BITS
        hashed = hashed * _MULTIPLIER & _32_BITS ^ word
    if whole < len(key):
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _MULTIPLIER & _32_BITS
    hashed = (hashed ^ hashed >> 13) * _MULTIPLIER & _32_BITS
    return hashed ^ hashed >> 15
