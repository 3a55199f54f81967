"""The embedded engine behind the HTTP interface of a server, to be written as well: what `ebbtide up --http-port` offers, without its looking
at statements. As a program, in a process of its own: `python -m tests.clickhouse_front PORT FOLDER`.

No package of a current server is to be had here. It is the real engine and the real client over the real protocol; it has no users and no
sessions, and answers are sent whole.
"""

import re
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import chdb

from sinks.http_answers import Answer, Engine, engine_failed, failed, name_quoted, quoted
from sinks.http_asked import packed, summary
from sinks.http_front import HttpFront

INSERT = re.compile(rb"\s*(INSERT\s+INTO\b[^\n]*?)\bFORMAT\s+(\w+)[ \t]*\n", re.IGNORECASE)
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
LONGEST_BODY = 256 << 20


class Writable:
    """Answers whatever is asked. `fails` is asked before, and may answer instead, with (code of the engine, words)."""

    def __init__(self, engine, fails=lambda _asked: None):
        self._engine, self.fails = engine, fails

    def __call__(self, asked):
        if failure := self.fails(asked):
            return failed(*failure)
        try:
            with self._engine.connection() as connection:
                return self._found(connection, asked)
        except (chdb.ChdbError, RuntimeError) as error:
            return engine_failed(error, self._engine.version)

    def _found(self, connection, asked):
        if asked.database:
            connection.query(f"USE {name_quoted(asked.database)}")
        said = {**asked.settings, **{f"param_{name}": value for name, value in asked.parameters.items()}}
        for name, value in sorted(said.items(), key=lambda one: one[0] == "readonly"):  # after it nothing can be set
            connection.query(f"SET {name} = {quoted(value)}")
        headers = {"X-ClickHouse-Query-Id": asked.query_id or "front", "X-ClickHouse-Timezone": self._engine.zone}
        if insert := INSERT.match(asked.text):
            with tempfile.NamedTemporaryFile() as file:
                file.write(asked.text[insert.end() :])
                file.flush()
                done = connection.query(f"{insert[1].decode()} FROM INFILE {quoted(file.name)} FORMAT {insert[2].decode()}")
            return Answer(b"", headers={**headers, "X-ClickHouse-Summary": summary(written_rows=done.rows_read())})
        sql = asked.text.decode()
        named = FORMAT.search(sql)
        kind = named[1] if named else asked.format
        found = connection.query(FORMAT.sub("", sql), kind).bytes() or b""
        if asked.encoding:
            found, headers["Content-Encoding"] = packed(found, asked.encoding), asked.encoding
        return Answer(found, headers={**headers, "X-ClickHouse-Format": kind})


@contextmanager
def front_on(engine, port=0, fails=lambda _asked: None):
    """Offer an engine of this process, as long as the block; the front, which knows its port."""
    front = HttpFront(Writable(engine, fails), port, longest_body=LONGEST_BODY)
    front.start()
    try:
        yield front
    finally:
        front.close()


if __name__ == "__main__":
    engine = Engine(Path(sys.argv[2]))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with front_on(engine, int(sys.argv[1])):
        stop.wait()
