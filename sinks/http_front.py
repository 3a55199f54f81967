"""ClickHouse's HTTP interface on loopback, so that BI tools can look into the embedded engine of this process.

It has a thread and an event loop of its own and answers in few threads: nothing that a client does, or leaves undone, holds up
anybody else. An answer is made whole before it is sent, so that an error is always an HTTP error.

**Delivery:** none; an answer that its reader does not take within a while is dropped, with the connection.
"""

import asyncio
import ipaddress
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from aiohttp import web

from sinks.addresses import Embedded, address
from sinks.failures import ReadRefused
from sinks.http_answers import READONLY, Answer, Answers, Engine, failed
from sinks.http_asked import Asked, asked

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
AT_ONCE = 2
"""Queries that run at the same time; others wait."""
OPEN_AT_MOST = 8
"""Requests that run, wait, or are being read or sent; whoever comes then is told to come again. It bounds memory."""
LONGEST_LINE = 256 << 10
"""Bytes of an address: a statement may stand in it."""
PATIENCE_S = 20.0
"""How long a client may take to send a request, and to take its answer."""
CHUNK = 256 << 10


class PortTaken(RuntimeError):
    """Somebody else has the port; the message says which."""


class HttpFront:
    """A server as long as it is open."""

    def __init__(
        self,
        answer: Callable[[Asked], Answer],
        port: int,
        *,
        stop_queries: Callable[[], None] = lambda: None,
        longest_body: int = 1 << 20,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Answer requests on this port of loopback, 0 for a free one. `answer` is called in other threads; `stop_queries` ends those."""
        self._answer, self._stop_queries = answer, stop_queries
        self.port = port
        self._longest_body, self._patience_s = longest_body, patience_s
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="http-answer")
        self._thread = threading.Thread(target=self._run, name="http-front", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._open = 0
        self._running: set[Future[Answer]] = set()

    def start(self) -> None:
        """Begin to answer. Raises: PortTaken."""
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._threads.shutdown()
            if isinstance(self._failure, OSError):
                message = f"port {self.port} of {LOOPBACK} cannot be had ({self._failure.strerror}): name another one"
                raise PortTaken(message) from self._failure
            raise self._failure

    def close(self) -> None:
        """Stop answering; what runs is ended."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._threads.shutdown(wait=False, cancel_futures=True)
        while wait(self._running, timeout=0.1).not_done:  # one that has only just begun is not known to the engine yet
            self._stop_queries()

    # The thread -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told to whoever starts it
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=self._longest_body)
        app.router.add_get("/ping", _pong)
        app.router.add_route("GET", "/", self._get)
        app.router.add_route("POST", "/", self._handle)
        runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            handle_signals=False,
            keepalive_timeout=self._patience_s,
            max_line_size=LONGEST_LINE,
            shutdown_timeout=0.1,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, self.port, reuse_address=True).start()
            self.port = runner.addresses[0][1]
            self._started.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(request) if request.query_string else await _pong(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._open >= OPEN_AT_MOST:
            return _response(failed(202, f"Too many simultaneous queries. Maximum: {OPEN_AT_MOST}"))
        self._open += 1
        try:
            async with asyncio.timeout(self._patience_s):
                body = await request.read()
            answer = await self._answered(request, body)
            return await self._sent(request, answer)
        except TimeoutError:
            log.info("a client of the HTTP front is let go: it took longer than %.0f s", self._patience_s)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=408)
        finally:
            self._open -= 1

    async def _answered(self, request: web.Request, body: bytes) -> Answer:
        if not _is_ours(request.host):  # a name that a web page made point here
            return failed(READONLY, f"{request.host} is not this machine: the HTTP front answers on loopback only")
        try:
            ask = asked(request.query.items(), request.headers, body, longest=self._longest_body)
        except ReadRefused as refused:
            return failed(READONLY, str(refused))
        running = self._threads.submit(self._answer, ask)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(running)

    async def _sent(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Send it bit by bit: what the client does not take must not pile up between here and there."""
        response = _response(Answer(b"", answer.status, answer.headers), type_of=web.StreamResponse)
        response.content_length = len(answer.body)
        async with asyncio.timeout(self._patience_s):
            await response.prepare(request)
            for begin in range(0, len(answer.body), CHUNK):
                await response.write(answer.body[begin : begin + CHUNK])
            await response.write_eof()
        return response


async def _pong(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="Ok.\n")


def _response(answer: Answer, type_of: type[web.StreamResponse] = web.Response) -> web.StreamResponse:
    headers = {"X-ClickHouse-Server-Display-Name": "ebbtide", **answer.headers}
    if type_of is web.StreamResponse:
        return web.StreamResponse(status=answer.status, headers=headers)
    return web.Response(status=answer.status, headers=headers, body=answer.body)


def _is_ours(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.lower() == "localhost"


@contextmanager
def offered(dsn: str, database: str, port: int | None) -> Iterator[HttpFront | None]:
    """Offer the tables of the embedded engine on a port of loopback, as long as the block; None: do not.

    Raises:  PortTaken; StoreBusy
    """
    if port is None:
        yield None
        return
    at = address(dsn)
    assert isinstance(at, Embedded), f"{at} has an HTTP interface of its own"
    engine = Engine(at.path)
    front = HttpFront(Answers(engine, database), port, stop_queries=engine.stop_queries)
    try:
        front.start()
        yield front
    finally:
        front.close()
        engine.close()
