"""The floor: the same answers fetched over a raw socket, nothing decoded.

A driver cannot use less client CPU than this: one ``sendall`` of request bytes built beforehand (Bind,
Execute, Sync of a prepared statement, every result column binary), then ``recv_into`` until the answer ends
in ReadyForQuery.
What a driver spends above it is its own work. libpq does the login; its socket is then driven by hand.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any

from cases import Case

BUFFER_BYTES = 8 * 1024 * 1024
READY_IDLE = b"Z\x00\x00\x00\x05I"
INT4_OID = 23
RECEIVE_TIMEOUT_S = 60


class FloorDriver:
    """Replays recorded request bytes; offers the same methods as the drivers in peers.py."""

    name = "floor"

    def __init__(self, params: dict[str, Any]) -> None:
        import psycopg

        self._libpq = psycopg.connect(**params, sslmode="disable", gssencmode="disable", autocommit=True)
        # One descriptor shared with libpq, which is only asked to close it.
        self._socket = socket.socket(fileno=os.dup(self._libpq.fileno()))
        self._socket.setblocking(True)
        # A kernel timeout bounds the wait without the poll() that settimeout() would add to each recv.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", RECEIVE_TIMEOUT_S, 0))
        self._view = memoryview(bytearray(BUFFER_BYTES))
        self._request = b""
        self._requests: dict[str, bytes] = {}

    def versions(self) -> str:
        return "raw socket, nothing decoded"

    def prepare(self, case: Case) -> None:
        """Choose the bytes to replay; the first time, prepare the statement and build them."""
        if case.name not in self._requests:
            self._requests[case.name] = self._record(case)
        self._request = self._requests[case.name]

    def count_rows(self) -> int:
        """Run the query once and count its DataRow messages."""
        return self._messages(self._exchange(self._request)).count(b"D")

    def batch(self, count: int) -> tuple[float, float]:
        """Run the query ``count`` times; return CPU seconds and wall seconds."""
        request, view, ready = self._request, self._view, READY_IDLE
        send, receive = self._socket.sendall, self._socket.recv_into
        wall = time.perf_counter()
        cpu = time.process_time()
        for _ in range(count):
            send(request)
            end = receive(view)
            while view[end - 6 : end] != ready:
                end += _some(receive(view[end:]))
        return time.process_time() - cpu, time.perf_counter() - wall

    def close(self) -> None:
        self._socket.close()
        self._libpq.close()

    def _record(self, case: Case) -> bytes:
        name = b"floor_" + case.name.encode() + b"\x00"
        types = [INT4_OID] * len(case.params)
        parse = name + case.sql.encode() + b"\x00" + struct.pack(f"!H{len(types)}I", len(types), *types)
        self._messages(self._exchange(_message(b"P", parse) + _message(b"S", b"")))
        values = b"".join(struct.pack("!ii", 4, value) for value in case.params)
        # One format code stands for all: 1, binary, for the parameters and for the results.
        bind = b"\x00" + name + struct.pack("!HHH", 1, 1, len(case.params)) + values + struct.pack("!HH", 1, 1)
        execute = b"\x00" + struct.pack("!i", 0)
        return _message(b"B", bind) + _message(b"E", execute) + _message(b"S", b"")

    def _exchange(self, request: bytes) -> int:
        self._socket.sendall(request)
        end = 0
        while end < 6 or self._view[end - 6 : end] != READY_IDLE:
            end += _some(self._socket.recv_into(self._view[end:]))
        return end

    def _messages(self, size: int) -> list[bytes]:
        """The type bytes of the messages in the buffer; an ErrorResponse is raised."""
        kinds, at = [], 0
        while at < size:
            kind = bytes(self._view[at : at + 1])
            (length,) = struct.unpack_from("!i", self._view, at + 1)
            if kind == b"E":
                fields = bytes(self._view[at + 5 : at + 1 + length]).split(b"\x00")
                text = b"; ".join(fields).decode(errors="replace")
                raise RuntimeError(f"the server refused the floor's query: {text}")
            kinds.append(kind)
            at += 1 + length
        if at != size:
            raise RuntimeError(f"the answer ends inside a message: {at} bytes announced, {size} received")
        return kinds


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _some(received: int) -> int:
    if not received:
        raise RuntimeError("the connection ended, or the answer does not fit the floor's buffer")
    return received
