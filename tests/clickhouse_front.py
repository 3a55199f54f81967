"""The embedded ClickHouse engine behind the HTTP interface of a server, in a process of its own: `python clickhouse_front.py PORT FOLDER`.

No package of a current server is to be had here. It is the real engine and the real client over the real protocol; it has no users, no
sessions and no compressed answers, and answers are sent whole.
"""

import json
import re
import sys
import tempfile
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

TRANSPORT = {
    "query",
    "database",
    "query_id",
    "user",
    "password",
    "compress",
    "decompress",
    "client_protocol_version",
    "session_id",
} | {
    "enable_http_compression",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "wait_end_of_query",
    "default_format",
}
INSERT = re.compile(rb"\s*INSERT\s+INTO\b[^\n]*?\bFORMAT\s+(\w+)[ \t]*\n", re.IGNORECASE)
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
CODE = re.compile(r"Code:\s*(\d+)")
UNPACKED = {"": bytes, "lz4": lz4.frame.decompress, "deflate": zlib.decompress}


def quoted(text: str) -> str:
    """As a string of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Front(BaseHTTPRequestHandler):
    """Answers requests of ClickHouse clients."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder = ""
    zone = "UTC"

    def log_message(self, *_said: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n")
        else:
            self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(chunks)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return UNPACKED[self.headers.get("Content-Encoding", "")](body)

    def _answer(self, body: bytes) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        engine = chdb.connect(self.folder)
        try:
            if database := asked.get("database"):
                engine.query(f"USE `{database}`")
            for name, value in asked.items():
                if name not in TRANSPORT and name != "readonly":
                    engine.query(f"SET {name} = {quoted(value)}")
            if "readonly" in asked:  # last: after it nothing can be set
                engine.query(f"SET readonly = {quoted(asked['readonly'])}")
            self._send(*self._result(engine, asked, body))
        except Exception as error:  # noqa: BLE001 - the engine raises nothing narrower
            code = found[1] if (found := CODE.search(str(error))) else "1002"
            self._send(500, f"{error} (version {VERSION})\n".encode(), {"X-ClickHouse-Exception-Code": code})
        finally:
            engine.close()

    @staticmethod
    def _result(engine: Any, asked: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        whole = (asked["query"].encode() + b"\n" if "query" in asked else b"") + body
        if insert := INSERT.match(whole):
            sql, rows = insert.group()[: insert.start(1) - insert.start() - len("FORMAT ")].decode(), whole[insert.end() :]
            with tempfile.NamedTemporaryFile() as file:
                file.write(rows)
                file.flush()
                done = engine.query(f"{sql} FROM INFILE {quoted(file.name)} FORMAT {insert[1].decode()}")
            return 200, b"", {"X-ClickHouse-Summary": json.dumps({"written_rows": str(done.rows_read())})}
        sql = whole.decode()
        named = FORMAT.search(sql)
        kind = named[1] if named else asked.get("default_format", "TabSeparated")
        found = engine.query(FORMAT.sub("", sql), kind).bytes() or b""
        return 200, found, {"X-ClickHouse-Format": kind}

    def _send(self, status: int, answer: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        known = {"X-ClickHouse-Server-Display-Name": "front", "X-ClickHouse-Timezone": self.zone, "X-ClickHouse-Query-Id": "front"}
        for name, value in {**known, **(headers or {}), "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)


VERSION = ""

if __name__ == "__main__":
    port, Front.folder = int(sys.argv[1]), sys.argv[2]
    kept = chdb.connect(Front.folder)  # the engine ends with its last connection
    VERSION = str(kept.query("SELECT version()")).strip().strip('"')
    Front.zone = str(kept.query("SELECT timezone()")).strip().strip('"')
    ThreadingHTTPServer(("127.0.0.1", port), Front).serve_forever()
