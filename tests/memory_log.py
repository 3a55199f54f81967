"""A broker in memory, as a producer and a reader see one: for tests of what is written in which order."""

from collections import defaultdict

from agents.log_reader import LogBounds, Record
from agents.producer import Sent


class MemoryLog:
    """Partitions are lists; a message has no offset before it is flushed. `trail` tells what was done, in order."""

    def __init__(self):
        self.partitions = defaultdict(list)
        self.first = defaultdict(int)
        self.trail = []
        self._pending = []
        self.headers = []

    def send(self, topic, partition, value, key=None, headers=None):
        sent = Sent()
        self._pending.append((topic, partition, value, key, sent))
        if headers is not None:
            self.headers.append(dict(headers))
        self.trail.append(("sent", topic, partition, "tombstone" if value is None else (key or b"").decode()))
        return sent

    def flush(self):
        for topic, partition, value, key, sent in self._pending:
            log = self.partitions[topic, partition]
            sent.offset = self.first[topic, partition] + len(log)
            log.append(Record(sent.offset, key, value))
        self._pending = []
        self.trail.append("flushed")

    def close(self):
        self.trail.append("closed")

    def bounds(self, topic, partition):
        first = self.first[topic, partition]
        return LogBounds(first, first + len(self.partitions[topic, partition]))

    def end(self, topic, partition, _known):
        return self.first[topic, partition] + len(self.partitions[topic, partition])

    def read(self, topic, partition, first, last):
        return iter([record for record in self.partitions[topic, partition] if first <= record.offset <= last])

    def compact(self, topic, partition):
        """Keep what a broker would keep at the least: the newest record of every key, and no tombstones."""
        newest = {record.key: record for record in self.partitions[topic, partition]}
        self.partitions[topic, partition] = CompactedLog(
            (record for record in newest.values() if record.value is not None), end=self.bounds(topic, partition).end
        )


class CompactedLog(list):
    """Its length says where the next record goes, and some are gone."""

    def __init__(self, records, end):
        super().__init__(sorted(records, key=lambda record: record.offset))
        self._end = end

    def __len__(self):
        return self._end

    def append(self, record):
        super().append(record)
        self._end += 1
