"""A proxy that writes down the conversation: which messages, in which order, in how many round trips.

    with Wiretap((host, port), delay_ms=20) as tap:
        conn = connect(...)                       # through tap.host, tap.port
        with tap.watch() as seen:
            conn.execute("select 1")
        assert seen.bursts == ["PBDES"] and seen.flips == 1 and seen.round_trips == 1

Two counts, since each alone can mislead. `flips` counts how often client bytes were followed by server bytes:
exact and independent of time, but a request whose answer nobody waits for counts too, and a long pipeline
whose answers overlap its requests counts several times. `round_trips` is wall time divided by the delay's
round trip, rounded: what the caller really waited. It needs a delay that is large against the machine's own
time; 20 ms each way is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import messages as m
from .faultproxy import Address, FaultProxy, Link
from .messages import TO_CLIENT, TO_SERVER


class Record(NamedTuple):
    """One message: when the proxy had read it whole (monotonic seconds), on which connection, and the
    message."""

    at_s: float
    connection: int
    message: m.Message

    @property
    def direction(self) -> str:
        return self.message.direction

    @property
    def type(self) -> str:
        return self.message.type


@dataclass
class Seen:
    """What passed the tap in some time; connections are counted one by one, then added."""

    records: list[Record] = field(default_factory=list)
    wall_s: float = 0.0
    rtt_s: float = 0.0

    @property
    def types(self) -> str:
        """All types in order with their direction at each change: ">Q<TDCZ>X"."""
        out = []
        last = None
        for record in self.records:
            if record.direction != last:
                last = record.direction
                out.append(last)
            out.append(record.type)
        return "".join(out)

    def _runs(self) -> list[tuple[int, str, list[m.Message]]]:
        """Per connection: maximal runs of one direction, in order of their begin."""
        runs: list[tuple[int, str, list[m.Message]]] = []
        current: dict[int, tuple[int, str, list[m.Message]]] = {}
        for record in self.records:
            run = current.get(record.connection)
            if run is None or run[1] != record.direction:
                run = current[record.connection] = (record.connection, record.direction, [])
                runs.append(run)
            run[2].append(record.message)
        return runs

    @property
    def bursts(self) -> list[str]:
        """The types the client sent between two answers of the server: ["<startup>", "p", "p", "Q"]."""
        return [m.types(run) for _, direction, run in self._runs() if direction == TO_SERVER]

    @property
    def replies(self) -> list[str]:
        """The types the server sent between two bursts of the client."""
        return [m.types(run) for _, direction, run in self._runs() if direction == TO_CLIENT]

    @property
    def flips(self) -> int:
        """How often a connection turned from client to server talking."""
        turned = 0
        spoke: set[int] = set()
        for connection, direction, _ in self._runs():
            if direction == TO_SERVER:
                spoke.add(connection)
            elif connection in spoke:
                turned += 1
        return turned

    @property
    def round_trips(self) -> int:
        """Wall time / added round trip time, rounded. Raises ValueError when the proxy adds no delay."""
        if not self.rtt_s:
            raise ValueError("round trips are counted by time: give the tap a delay_ms")
        return round(self.wall_s / self.rtt_s)

    def sent(self, type_: str | None = None) -> list[m.Message]:
        """The client's messages, or those of one type."""
        return self._of(TO_SERVER, type_)

    def answered(self, type_: str | None = None) -> list[m.Message]:
        """The server's messages, or those of one type."""
        return self._of(TO_CLIENT, type_)

    def _of(self, direction: str, type_: str | None) -> list[m.Message]:
        return [r.message for r in self.records if r.direction == direction and type_ in (None, r.type)]

    def streams(self, connection: int) -> dict[str, bytes]:
        """The bytes of each direction of one connection, as parsers are fed with them."""
        out = {TO_SERVER: bytearray(), TO_CLIENT: bytearray()}
        for record in self.records:
            if record.connection == connection:
                out[record.direction] += record.message.raw
        return {direction: bytes(data) for direction, data in out.items()}


class Wiretap(FaultProxy):
    """A FaultProxy that records. An encrypted connection leaves its SSLRequest and the answer, then only
    `bytes_read`."""

    def __init__(self, target: Address, **options: Any):
        super().__init__(target, **options)
        self.records: list[Record] = []
        self.bytes_read = {TO_SERVER: 0, TO_CLIENT: 0}
        self._assemblers: dict[tuple[int, str], m.Assembler] = {}

    def observe(self, link: Link, direction: str, data: bytes, spans: list[m.Span]) -> None:
        self.bytes_read[direction] += len(data)
        key = link.number, direction
        if link.conversation.opaque and not spans:
            self._assemblers.pop(key, None)
            return
        assembler = self._assemblers.get(key)
        if assembler is None:
            assembler = self._assemblers[key] = m.Assembler(direction)
        now = time.monotonic()
        for message in assembler.add(data, spans):
            self.records.append(Record(now, link.number, message))

    @property
    def seen(self) -> Seen:
        """Everything since the tap began."""
        self.settle()
        return Seen(list(self.records), rtt_s=self.rtt_s)

    @contextlib.contextmanager
    def watch(self) -> Iterator[Seen]:
        """Fill a `Seen` with what passes while the block runs; it is complete when the block has ended."""
        self.settle()
        first = len(self.records)
        seen = Seen(rtt_s=self.rtt_s)
        begin = time.monotonic()
        try:
            yield seen
        finally:
            seen.wall_s = time.monotonic() - begin
            self.settle()
            seen.records = self.records[first:]
