"""Where ClickHouse is: a server, or the engine in this process."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

EMBEDDED = "chdb://"
_INTERFACES = {"clickhouse": "http", "http": "http", "clickhouses": "https", "https": "https"}
_PORTS = {"http": 8123, "https": 8443}


@dataclass(frozen=True)
class Embedded:
    """A folder that the engine in this process works on. One process at a time can have it, and has no other one meanwhile."""

    path: Path

    def __str__(self) -> str:
        """As it is set."""
        return f"{EMBEDDED}{self.path}"

    @property
    def is_there(self) -> bool:
        """Whether there is a store; the engine would make one."""
        return (self.path / "metadata").is_dir()


@dataclass(frozen=True)
class Server:
    """A server that is asked over HTTP."""

    interface: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        """As it is set, without the password."""
        return f"{self.interface}://{self.user}@{self.host}:{self.port}"


Address = Embedded | Server


def address(dsn: str) -> Address:
    """What a DSN says: `chdb://FOLDER`, or `clickhouse://user:password@host:port` (HTTP; `clickhouses://` with TLS; `http(s)://` as well).

    Cases:   user or password with special characters -> percent-encoded
    Raises:  ValueError if it says something else, or a database: that is a setting of its own
    """
    if dsn.startswith(EMBEDDED):
        return Embedded(_folder(dsn.removeprefix(EMBEDDED)))
    parts = urlsplit(dsn)
    if parts.scheme not in _INTERFACES or not parts.hostname:
        raise ValueError("a DSN of ClickHouse is chdb://FOLDER or clickhouse://user:password@host:port")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("a DSN of ClickHouse ends with the port: the database is the setting clickhouse.database")
    interface = _INTERFACES[parts.scheme]
    return Server(
        interface=interface,
        host=parts.hostname,
        port=parts.port or _PORTS[interface],
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
    )


def _folder(path: str) -> Path:
    if not path or path in {"memory", ":memory:"}:
        raise ValueError("chdb:// needs a folder: chdb:///var/lib/ebbtide, or chdb://data for one below this")
    if set(path) & set("?#%"):
        raise ValueError("the folder after chdb:// must not have ?, # or % in it: the engine would take them for something else")
    return Path(path).expanduser().resolve()
