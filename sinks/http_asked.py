"""What a request to ClickHouse's HTTP interface asks, as BI tools and ClickHouse's own clients send it. Pure.

The statement stands in `query`, in the body, or begins in the one and goes on in the other.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

import lz4.frame

from sinks.failures import ReadRefused

PARAMETER = "param_"
"""Begin of the name of a parameter of the statement."""

TRANSPORT = frozenset(
    {
        "add_http_cors_header",
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_write_exception_in_output_format",
        "http_zlib_compression_level",
        "log_comment",
        "log_queries",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "user",
        "wait_end_of_query",
    }
)
"""What is about the request and no setting of the engine. There are no sessions and no users: what is said of them is passed over."""

TRUE = frozenset({"1", "true"})


@dataclass(frozen=True)
class Asked:
    """One request."""

    text: bytes
    """The statement; of an INSERT with the rows behind it."""
    database: str = ""
    """'' for none."""
    format: str = "TabSeparated"
    """Of the answer, where the statement names none."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the engine."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the statement, by name."""
    query_id: str = ""
    """'' for none."""
    encoding: str = ""
    """How to compress the answer: lz4, gzip, deflate, '' for not at all."""


def asked(fields: Iterable[tuple[str, str]], headers: Mapping[str, str], body: bytes, *, longest: int) -> Asked:
    """What a request asks. `fields`: what stands in its address, in order; `body`: at most `longest` bytes when it is unpacked.

    Raises:  ReadRefused if it asks in a way that is not known here
    """
    said = dict(fields)
    body = _unpacked(body, headers.get("Content-Encoding", "").strip().lower(), longest)
    if headers.get("Content-Type", "").startswith("multipart/form-data"):
        said |= _form(headers["Content-Type"], body)
        body = b""
    for block in ("compress", "decompress"):
        if said.get(block, "0").lower() in TRUE:
            message = f"{block}=1, the block compression of ClickHouse, is not known here: turn it off, or use Accept-Encoding"
            raise ReadRefused(message)
    query = said.get("query", "").encode()
    return Asked(
        text=query + b"\n" + body if query and body else query or body,
        database=said.get("database") or headers.get("X-ClickHouse-Database", ""),
        format=said.get("default_format") or headers.get("X-ClickHouse-Format", "") or "TabSeparated",
        settings={name: value for name, value in said.items() if name not in TRANSPORT and not name.startswith(PARAMETER)},
        parameters={name.removeprefix(PARAMETER): value for name, value in said.items() if name.startswith(PARAMETER)},
        query_id=said.get("query_id", ""),
        encoding=_encoding(headers) if said.get("enable_http_compression", "0").lower() in TRUE else "",
    )


def packed(answer: bytes, encoding: str) -> bytes:
    """An answer, compressed as was asked for."""
    if encoding == "lz4":
        return bytes(lz4.frame.compress(answer))
    if encoding == "gzip":
        compressor = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
        return compressor.compress(answer) + compressor.flush()
    return zlib.compress(answer, 1) if encoding == "deflate" else answer


def summary(**numbers: int) -> str:
    """What clients want to know of an answer, as the header `X-ClickHouse-Summary` says it."""
    return json.dumps({name: str(number) for name, number in numbers.items()})


def _encoding(headers: Mapping[str, str]) -> str:
    accepted = {one.partition(";")[0].strip().lower() for one in headers.get("Accept-Encoding", "").split(",")}
    return next((name for name in ("lz4", "gzip", "deflate") if name in accepted), "")


def _unpacked(body: bytes, encoding: str, longest: int) -> bytes:
    """The body as it was before it was compressed: not longer than it may be, whatever it would become."""
    unpack: Any = None
    if encoding == "lz4":
        unpack = lz4.frame.LZ4FrameDecompressor()
    elif encoding in {"gzip", "deflate"}:
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # it sees which of the two it is
    elif encoding not in {"", "identity"}:
        message = f"Content-Encoding {encoding} is not known here: lz4, gzip and deflate are"
        raise ReadRefused(message)
    if unpack is None or not body:
        return body
    try:
        plain = bytes(unpack.decompress(body, longest + 1))
    except (RuntimeError, zlib.error) as error:
        message = f"the body is no {encoding}: {error}"
        raise ReadRefused(message) from error
    if len(plain) > longest or not unpack.eof:
        message = f"the body is cut off, or longer than {longest:,} bytes when it is unpacked"
        raise ReadRefused(message)
    return plain


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """Fields of a form."""
    form = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in form.walk():
        if part.is_multipart():
            continue
        if part.get_filename() is not None:
            raise ReadRefused("tables that come with the request are not known here")
        name, value = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            fields[name] = value.decode(errors="replace")
    return fields
