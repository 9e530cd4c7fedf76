"""What a client may take of a connection before it has said who it is: uvicorn bounds neither time nor size here.

A proxy in front has bounds of its own. Whoever reaches the server without one, or has got hold of a token, meets these.
"""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

ARRIVING_SECONDS = 60.0
UNREAD_SECONDS = 60.0
LEAST_TAKEN = 4 * 1024  # in UNREAD_SECONDS; less is nothing
MOST_PIPELINED = 16
MOST_HEAD_BYTES = 64 * 1024
# What a field takes beside its letters, counted as HTTP/2 does (RFC 9113 section 6.5.2).
FIELD_BYTES = 32
# No head of so many bytes can count for more than MOST_HEAD_BYTES: a field takes four of them at least.
SMALL_BYTES = MOST_HEAD_BYTES // (FIELD_BYTES // 4 + 1)
# A byte of a body in a chunk of its own: `1`, the byte, and two ends of lines.
CHUNK_BYTES = 6
# Beside a body: a head, and as much as the event loop hands over at once.
MOST_SPARE_BYTES = MOST_HEAD_BYTES + 256 * 1024


class Connection(HttpToolsProtocol):
    """uvicorn's connection with ends: one that breaks a bound is closed, and the application sees a disconnect.

    A request, head and body, has ARRIVING_SECONDS to arrive, from when the connection opens or its first byte comes.
    Its target and fields have at most MOST_HEAD_BYTES; trailers are dropped (RFC 9110 section 6.5.1). MOST_PIPELINED
    requests wait for the one before them. Of an answer that has to wait LEAST_TAKEN is taken in UNREAD_SECONDS.
    """

    _watch: asyncio.TimerHandle
    _since: float | None = None
    _unread: asyncio.TimerHandle | None = None
    _serving: RequestResponseCycle | None = None
    _in_head = False
    _head_bytes = 0
    _counted = 0
    _reading = 0
    _spare = MOST_SPARE_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch = self.loop.call_later(ARRIVING_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        self._is_read()
        self._unset_keepalive_if_required()
        # uvicorn tells the newest request that the client is gone, and an older one may be under way.
        if self._serving is not None and not self._serving.response_complete:
            self._serving.disconnected = True
            self._serving.message_event.set()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        self._must_be_read()  # the transport closes next

    def data_received(self, data: bytes) -> None:
        if self._since is None:
            self._since = self.loop.time()
        self._reading = len(data)
        super().data_received(data)
        self._spare -= len(data)
        if (self._spare < 0 or (self._in_head and self._head_is_large())) and not self.transport.is_closing():
            self.logger.warning("A request has more around its body than is read.")
            self.send_400_response("Too much around the body.")
        self._bound_closing()

    def send_400_response(self, msg: str) -> None:
        if self._serving is not None and self._serving.response_started and not self._serving.response_complete:
            self.transport.close()  # it would be read as a part of that answer
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError("too many requests at once")  # uvicorn answers 400
        super().on_message_begin()
        self._in_head, self._head_bytes, self._counted, self._spare = True, 0, 0, MOST_SPARE_BYTES
        if self._since is None:
            self._since = self.loop.time()

    def on_headers_complete(self) -> None:
        # Most heads have come with one small read, and need not be counted.
        whole = self._reading <= SMALL_BYTES and self._spare == MOST_SPARE_BYTES
        if not whole and self._head_is_large():
            raise ValueError("the head is too large")
        self._in_head = False
        super().on_headers_complete()
        # What uvicorn adds from now on are trailers, and the request has its headers.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        # Never more than at the beginning: a long body buys no long trailers.
        self._spare = min(self._spare + CHUNK_BYTES * len(body), MOST_SPARE_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        # A body behind its answer ends uvicorn's wait for the next request, and counts as the beginning of that.
        self._since = self.loop.time() if self.cycle.response_complete else None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # uvicorn would read on, and keep all of it
        self._bound_closing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._bound_closing()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._must_be_read()

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()
        self._bound_closing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._serving = cycle
        super()._start_asgi_task(cycle, app)

    def _head_is_large(self) -> bool:
        new = self.headers[self._counted :]
        self._counted += len(new)
        self._head_bytes += FIELD_BYTES * len(new) + sum(map(len, chain.from_iterable(new)))
        return self._head_bytes + len(self.url) > MOST_HEAD_BYTES

    def _look(self) -> None:
        """One timer goes on for as long as the connection: to begin one with each request would cost more."""
        self._bound_closing()
        now = self.loop.time()
        if self._since is not None and now >= self._since + ARRIVING_SECONDS:
            if not self._is_slow():
                self.transport.abort()
                return
            self._since = now
        self._watch = self.loop.call_at((self._since or now) + ARRIVING_SECONDS, self._look)

    def _is_slow(self) -> bool:
        """Whether it is this server that is."""
        cycle = self._serving
        return self.flow.read_paused or (cycle is not None and not cycle.more_body and not cycle.response_complete)

    def _bound_closing(self) -> None:
        """To close waits until the client has taken what is written."""
        if self.transport.is_closing():
            self._must_be_read()

    def _must_be_read(self) -> None:
        if self._unread is None:
            left = self.transport.get_write_buffer_size()
            self._unread = self.loop.call_later(UNREAD_SECONDS, self._compare, left)

    def _compare(self, before: int) -> None:
        self._unread = None
        if self.transport.get_write_buffer_size() > before - LEAST_TAKEN:
            self.transport.abort()
        else:
            self._must_be_read()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
