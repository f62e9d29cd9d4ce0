"""A proxy between a client and a real server that delays, slows, slices, freezes and cuts.

    with FaultProxy((host, port)) as proxy:
        proxy.set(TO_SERVER, latency_s=0.02)
        proxy.cut_after(TO_CLIENT, 17, "rst")
        proxy.on_message(TO_SERVER, "S", 3, "blackhole")
        connect(host=proxy.host, port=proxy.port)

Both sides may be TCP or a Unix socket. Connections are plain text, or encrypted between the two ends: then
messages cannot be told apart, and only what counts bytes or time works.

How it works. One thread runs all connections with non-blocking sockets. Each direction of a connection is a
`Line`: a queue of chunks, each with the time at which it is due. The line delivers what is due, as far as
rate, slice size, room in the socket and the next *mark* allow. A mark is an offset in the stream with an
action: `cut_after` puts one at a byte, `on_message` at the begin or end of the k-th message of a type. When
exactly that many bytes have been delivered, the action runs. Nothing but delivery ever depends on time, so a
cut is exact to the byte.

Actions: "fin" closes both ends in good order; "half" sends FIN to the receiver only; "rst" resets both ends
(on a Unix socket: closes); "blackhole" delivers nothing more in either direction and says nothing, as an
unplugged cable; "freeze" is the same until `thaw()`; a callable is called in the proxy's thread while the
line stands still.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from . import messages as m
from .messages import TO_CLIENT, TO_SERVER

Address = tuple[str, int] | str
Action = str | Callable[[], Any]
T = TypeVar("T")

ACTIONS = ("fin", "half", "rst", "blackhole", "freeze")
RECV_BYTES = 65536
QUEUE_BYTES = 16 << 20  # a line that holds more stops reading, as a full network does
CONTROL_S = 10.0  # bound for a control call and for the end of the thread
_SIOCOUTQNSD = 0x894B  # Linux: bytes in the send queue that were not yet sent
POLL_STEP_S = 0.0002  # the last part of a wait, below the selector's resolution of 1 ms


@dataclass(frozen=True)
class Conditions:
    """What a direction does to its bytes; the default does nothing.

    latency_s: delay of each chunk. rate: bytes per second. slice_bytes: at most so many bytes per send.
    slice_gap_s: pause between slices (without it the receiver's kernel may join them again).
    frozen: deliver nothing for now.
    """

    latency_s: float = 0.0
    rate: float | None = None
    slice_bytes: int | None = None
    slice_gap_s: float = 0.0
    frozen: bool = False


@dataclass
class Mark:
    """An action at an offset of one line's stream; the rule that made it is spent when it fires."""

    offset: int
    action: Action
    rule: Rule | None = None


@dataclass(eq=False)
class Rule:
    """A cut or trigger armed by the user; `fired` counts the times it ran."""

    direction: str
    action: Action
    after_bytes: int | None = None
    type: str | None = None
    nth: int = 1
    when: str = "after"
    every_connection: bool = False
    fired: int = 0
    happened: threading.Event = field(default_factory=threading.Event, repr=False)

    def wait(self, timeout_s: float = 5.0) -> None:
        """Block until the rule has fired. Raises TimeoutError."""
        if not self.happened.wait(timeout_s):
            raise TimeoutError(f"{self} has not fired within {timeout_s:g} s")


class Line:
    """One direction of one connection."""

    def __init__(self, link: Link, direction: str, source: socket.socket, sink: socket.socket):
        self.link = link
        self.direction = direction
        self.source = source
        self.sink = sink
        self.queue: deque[tuple[float, bytes]] = deque()  # (due time, bytes)
        self.queued = 0
        self.received = 0  # bytes ever read from source
        self.delivered = 0  # bytes ever written to sink
        self.eof_at: float | None = None  # due time of the source's FIN
        self.finished = False  # FIN sent on
        self.sink_full = False
        self.next_send_at = 0.0  # rate and slices
        self.marks: list[Mark] = []
        self.broken = False  # ends by RST, not FIN
        self.seen: dict[Rule, int] = {}  # messages of the rule's type seen
        self.frozen = False

    @property
    def conditions(self) -> Conditions:
        return self.link.proxy.conditions[self.direction]

    @property
    def held(self) -> bool:
        return self.frozen or self.conditions.frozen or self.link.dark

    @property
    def wants_read(self) -> bool:
        return self.eof_at is None and self.queued < QUEUE_BYTES and not self.held

    def take_in(self) -> None:
        """Read once from the source and queue it; find the marks in it."""
        try:
            data = self.source.recv(RECV_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
            self.broken = True
        due = time.monotonic() + self.conditions.latency_s
        if not data:
            self.eof_at = due
            return
        spans = self.link.conversation.feed(self.direction, data)
        for rule in self.link.proxy.rules:
            self._mark_messages(rule, spans)
        self.received += len(data)
        self.queue.append((due, data))
        self.queued += len(data)
        self.link.proxy.observe(self.link, self.direction, data, spans)

    def _mark_messages(self, rule: Rule, spans: list[m.Span]) -> None:
        if rule.type is None or rule.direction != self.direction:
            return
        for span in spans:
            if span.type == rule.type:
                self.seen[rule] = self.seen.get(rule, 0) + 1
                if self.seen[rule] == rule.nth:
                    self.add_mark(span.start if rule.when == "before" else span.end, rule)

    def add_mark(self, offset: int, rule: Rule) -> None:
        self.marks.append(Mark(offset, rule.action, rule))
        self.marks.sort(key=lambda mark: mark.offset)

    def pump(self, now: float) -> float | None:
        """Deliver what can be delivered; the time to try again, None when only an event can help."""
        while not self.link.closed and not self.link.dark:
            if self._fire_marks():
                continue
            if self.held or self.sink_full:
                return None
            if not self.queue:
                if self.eof_at is None or self.finished:
                    return None
                if self.eof_at > now:
                    return self.eof_at
                self.finish()
                return None
            due, data = self.queue[0]
            ready_at = max(due, self.next_send_at)
            if ready_at > now:
                return ready_at
            self._deliver(due, data, now)
        return None

    def _deliver(self, due: float, data: bytes, now: float) -> None:
        c = self.conditions
        size = min(len(data), c.slice_bytes or len(data))
        if self.marks:
            size = min(size, self.marks[0].offset - self.delivered)
        if c.rate:
            # 10 ms worth at a time: smooth enough, and few wake-ups.
            size = min(size, max(1, int(c.rate * 0.01)))
        try:
            sent = self.sink.send(data[:size])
        except BlockingIOError:
            self.sink_full = True
            return
        except OSError:
            self._give_up()
            return
        self.delivered += sent
        self.queued -= sent
        if sent == len(data):
            self.queue.popleft()
        else:
            self.queue[0] = (due, data[sent:])
        if c.rate:
            self.next_send_at = max(now, self.next_send_at) + sent / c.rate
        if c.slice_bytes and c.slice_gap_s:
            self.next_send_at = max(self.next_send_at, now + c.slice_gap_s)

    def _fire_marks(self) -> bool:
        """Run the first mark if the stream has come to it."""
        if not self.marks or self.marks[0].offset > self.delivered:
            return False
        mark = self.marks.pop(0)
        rule = mark.rule
        if rule is not None:
            if rule not in self.link.proxy.rules:
                return True
            rule.fired += 1
            if not rule.every_connection:
                self.link.proxy.rules.remove(rule)
        try:
            self.link.act(mark.action, self)
        finally:
            if rule is not None:
                rule.happened.set()
        return True

    def finish(self) -> None:
        """Pass FIN on, or RST; the connection is over when both directions have ended."""
        self.finished = True
        if self.broken:
            self.link.close(reset=True)
            return
        with contextlib.suppress(OSError):
            self.sink.shutdown(socket.SHUT_WR)
        self.link.close_if_finished()

    def _give_up(self) -> None:
        """The sink takes nothing more; what it said before it went is still to be delivered the other way."""
        self.queue.clear()
        self.queued = 0
        self.eof_at = 0.0
        self.finished = True
        self.link.close_if_finished()


class Link:
    """One client connection and its server connection."""

    def __init__(self, proxy: FaultProxy, number: int, client: socket.socket, server: socket.socket):
        self.proxy = proxy
        self.number = number
        self.client = client
        self.server = server
        self.conversation = m.Conversation()
        self.closed = False
        self.dark = False  # blackholed
        self.next_at: float | None = None  # when a delivery is due
        self.lines = {
            TO_SERVER: Line(self, TO_SERVER, client, server),
            TO_CLIENT: Line(self, TO_CLIENT, server, client),
        }

    def act(self, action: Action, line: Line) -> None:
        if callable(action):
            action()
        elif action == "fin":
            self.close()
        elif action == "rst":
            for each in self.lines.values():
                _await_transmission(each.sink)
            self.close(reset=True)
        elif action == "blackhole":
            self.dark = True
        elif action == "freeze":
            for each in self.lines.values():
                each.frozen = True
        else:  # "half"
            line.queue.clear()
            line.queued = 0
            line.eof_at = 0.0
            line.finish()

    def close_if_finished(self) -> None:
        if all(line.finished for line in self.lines.values()):
            self.close()

    def close(self, *, reset: bool = False) -> None:
        """Close both ends. Bytes already delivered stay readable at the other end."""
        if self.closed:
            return
        self.closed = True
        for sock in (self.client, self.server):
            self.proxy.forget(sock)
            if reset:
                _reset(sock)
            else:
                # close() over unread bytes would send RST: FIN first, then throw away what is there.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(RECV_BYTES):
                        pass
                sock.close()
        self.proxy.links.discard(self)
        self.proxy.touched.discard(self)
        self.proxy.timed.discard(self)


def _await_transmission(sock: socket.socket) -> None:
    """Wait, at most a second, until the kernel holds nothing unsent: a reset would throw it away."""
    if not sys.platform.startswith("linux") or sock.family == socket.AF_UNIX:
        return
    deadline = time.monotonic() + 1.0
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            if not int.from_bytes(fcntl.ioctl(sock, _SIOCOUTQNSD, bytes(4)), sys.byteorder):
                return
            time.sleep(0.001)


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class FaultProxy:
    """The proxy; a context manager. Control calls may come from any thread and hold when they return.

    target: (host, port), or the path of a Unix socket (`.../.s.PGSQL.5432`, or its folder with
    `target_port`). delay_ms: latency of both directions, in milliseconds. unix: listen on a Unix socket in a
    private folder (`proxy.host` is that folder) instead of TCP on 127.0.0.1.
    """

    def __init__(self, target: Address, *, delay_ms: float = 0.0, unix: bool = False, target_port: int = 5432):
        if isinstance(target, str) and os.path.isdir(target):
            target = f"{target}/.s.PGSQL.{target_port}"
        self.target = target
        self.conditions = {TO_SERVER: Conditions(), TO_CLIENT: Conditions()}
        self.rules: list[Rule] = []
        self.links: set[Link] = set()
        self.touched: set[Link] = set()  # something happened: to be pumped
        self.timed: set[Link] = set()  # a delivery is due at link.next_at
        self.connections = 0  # ever accepted
        self.errors: list[BaseException] = []
        self.host = "127.0.0.1"
        self.port = 0
        self._unix = unix
        self._folder: str | None = None
        self._listener: socket.socket | None = None
        self._commands: deque[Callable[[], None]] = deque()
        self._running = False
        self._thread: threading.Thread | None = None
        for direction in self.conditions:
            self.conditions[direction] = Conditions(latency_s=delay_ms / 1000)

    # --- control, any thread

    @property
    def dsn(self) -> str:
        """Host, port and sslmode=disable of the proxy as the begin of a conninfo string."""
        return f"host={self.host} port={self.port} sslmode=disable"

    @property
    def rtt_s(self) -> float:
        """The round trip time that the proxy adds, in seconds."""
        return sum(c.latency_s for c in self.conditions.values())

    def set(self, direction: str | None = None, **changes: Any) -> None:
        """Change fields of `Conditions` for a direction (None: both); holds for bytes read from now on."""

        def change() -> None:
            for each in self._directions(direction):
                self.conditions[each] = replace(self.conditions[each], **changes)

        self.call(change)

    def heal(self) -> None:
        """Back to no fault at all: conditions, rules and freezes. What is cut or blackholed stays so."""

        def change() -> None:
            self.conditions = {TO_SERVER: Conditions(), TO_CLIENT: Conditions()}
            self.rules.clear()
            self._thaw_links()

        self.call(change)

    def freeze(self, direction: str | None = None) -> None:
        """Deliver nothing until thaw(); new connections are accepted and freeze too."""
        self.set(direction, frozen=True)

    def thaw(self, direction: str | None = None) -> None:
        """End `freeze()` and "freeze" actions."""
        self.set(direction, frozen=False)
        self.call(self._thaw_links)

    def cut_after(
        self, direction: str, n_bytes: int, action: Action = "rst", *, every_connection: bool = False
    ) -> Rule:
        """Act when exactly `n_bytes` of a direction have been delivered.

        Live connections count from now, later ones from their begin. The first that comes there spends the
        rule, unless `every_connection`.
        """
        if n_bytes < 0:
            raise ValueError(f"n_bytes must not be negative: {n_bytes}")
        return self._arm(Rule(direction, action, after_bytes=n_bytes, every_connection=every_connection))

    def on_message(
        self,
        direction: str,
        type_: str,
        nth: int = 1,
        action: Action = "rst",
        *,
        when: str = "after",
        every_connection: bool = False,
    ) -> Rule:
        """Act "before" or "after" the delivery of the nth message of a type ("S", "<startup>"), counted as
        cut_after.

        "before" means before its first byte; up to 4 bytes may have passed when the sender split its header.
        """
        if nth < 1 or when not in ("before", "after") or len(m.split_types(type_)) != 1:
            raise ValueError(f"nth >= 1, when 'before' or 'after', one type; not {nth}, {when!r}, {type_!r}")
        rule = Rule(direction, action, type=type_, nth=nth, when=when, every_connection=every_connection)
        return self._arm(rule)

    def disarm(self, rule: Rule) -> None:
        """Forget a rule that has not fired."""
        self.call(lambda: self.rules.remove(rule) if rule in self.rules else None)

    def drop_all(self, action: str = "rst") -> int:
        """Do a "fin", "rst" or "blackhole" to every connection now; their number."""

        def act() -> int:
            links = list(self.links)
            for link in links:
                link.act(action, link.lines[TO_CLIENT])
            return len(links)

        if action not in ("fin", "rst", "blackhole"):
            raise ValueError(f"drop_all does fin, rst or blackhole, not {action!r}")
        return self.call(act)

    def go_down(self) -> None:
        """The server is gone: connections are reset and new ones refused, until come_up()."""
        self.call(self._close_listener)
        self.drop_all("rst")

    def come_up(self) -> None:
        """Listen again, at the same address."""
        self.call(self._listen)

    def call(self, fn: Callable[[], T]) -> T:
        """Run `fn` in the proxy's thread and give its result; bounded by CONTROL_S."""
        if self._thread is None or threading.current_thread() is self._thread:
            return fn()
        if not self._running:
            raise RuntimeError("the proxy is closed") from (self.errors[0] if self.errors else None)
        result: list[T] = []
        failure: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                result.append(fn())
            except BaseException as exc:
                failure.append(exc)
            finally:
                done.set()

        self._commands.append(run)
        self._wake()
        if not done.wait(CONTROL_S):
            raise TimeoutError(f"the proxy's thread did not answer within {CONTROL_S:g} s")
        if failure:
            raise failure[0]
        return result[0]

    def settle(self) -> None:
        """Return when every byte that had reached the proxy before the call has been read by it."""
        if self._running:
            self.call(lambda: self._turn(0.0))

    # --- life

    def __enter__(self: P) -> P:
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        for sock in (self._wake_in, self._wake_out):
            sock.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._listen()
        self._thread = threading.Thread(target=self._run, name="faultproxy", daemon=True)
        self._running = True
        self._thread.start()
        return self

    def __exit__(self, exc_type: Any, exc: BaseException | None, tb: Any) -> None:
        self.close()
        if self.errors and exc is None:
            raise self.errors[0]

    def close(self) -> None:
        """Reset all connections, end the thread, remove the Unix socket; twice is no error."""
        if self._thread is None:
            return
        self._running = False
        self._wake()
        self._thread.join(CONTROL_S)
        if self._thread.is_alive():
            raise TimeoutError(f"the proxy's thread did not end within {CONTROL_S:g} s")

    def _run(self) -> None:
        try:
            timeout: float | None = None
            while self._running:
                self._turn(timeout)
                if self._commands:
                    self.touched |= self.links
                while self._commands:
                    self._commands.popleft()()
                timeout = self._pump_all()
        except BaseException as exc:  # kept for the test: a dead thread must not look like a dead server
            self.errors.append(exc)
        finally:
            self._running = False
            for link in list(self.links):
                link.close(reset=True)
            self._close_listener()
            self._selector.close()
            self._wake_in.close()
            self._wake_out.close()
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
            while self._commands:
                self._commands.popleft()()

    # --- the proxy's thread

    def observe(self, link: Link, direction: str, data: bytes, spans: list[m.Span]) -> None:
        """Called with everything read, before it is delivered; for subclasses."""

    def _directions(self, direction: str | None) -> tuple[str, ...]:
        if direction is None:
            return TO_SERVER, TO_CLIENT
        if direction not in (TO_SERVER, TO_CLIENT):
            raise ValueError(f"a direction is TO_SERVER or TO_CLIENT, not {direction!r}")
        return (direction,)

    def _thaw_links(self) -> None:
        for link in self.links:
            for line in link.lines.values():
                line.frozen = False

    def _arm(self, rule: Rule) -> Rule:
        self._directions(rule.direction)
        if not callable(rule.action) and rule.action not in ACTIONS:
            raise ValueError(f"unknown action {rule.action!r}; known: {', '.join(ACTIONS)}, or a callable")

        def arm() -> None:
            if self._running:
                self._turn(0.0)
            self.rules.append(rule)
            for link in self.links:
                self._arm_line(link.lines[rule.direction], rule)

        self.call(arm)
        return rule

    @staticmethod
    def _arm_line(line: Line, rule: Rule) -> None:
        if rule.after_bytes is not None:
            line.add_mark(line.received + rule.after_bytes, rule)

    def _listen(self) -> None:
        if self._listener is not None:
            return
        if self._unix:
            # A short path: Unix sockets allow about 107 bytes.
            self._folder = self._folder or tempfile.mkdtemp(prefix="fp-")
            self.host, self.port = self._folder, 5432
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(f"{self._folder}/.s.PGSQL.{self.port}")
            listener.listen(128)
        else:
            listener = socket.create_server((self.host, self.port), backlog=128)
            self.port = listener.getsockname()[1]
        listener.setblocking(False)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)

    def _close_listener(self) -> None:
        if self._listener is None:
            return
        self._selector.unregister(self._listener)
        self._listener.close()
        self._listener = None
        if self._folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._folder}/.s.PGSQL.{self.port}")

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_in.send(b"\0")

    def _turn(self, timeout: float | None) -> None:
        """Wait for events and read what is there; nothing is delivered here."""
        for key, events in self._select(timeout):
            if key.fileobj is self._wake_out:
                with contextlib.suppress(BlockingIOError):
                    self._wake_out.recv(4096)
            elif key.fileobj is self._listener:
                self._accept()
            else:
                reads, writes = key.data
                if not reads.link.closed:
                    self.touched.add(reads.link)
                if events & selectors.EVENT_WRITE:
                    writes.sink_full = False
                if events & selectors.EVENT_READ and not reads.link.closed and reads.wants_read:
                    reads.take_in()

    def _select(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """The selector counts in whole milliseconds, rounding up: wait short, then step finely to the due
        time."""
        if timeout is None or timeout <= 0:
            return self._selector.select(timeout)
        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            if left >= 0.002:
                events = self._selector.select(left - 0.001)
            else:
                if left > 0:
                    time.sleep(min(left, POLL_STEP_S))
                events = self._selector.select(0)
            if events or time.monotonic() >= until:
                return events

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        try:
            if isinstance(self.target, str):
                server = socket.socket(socket.AF_UNIX)
                server.settimeout(CONTROL_S / 2)
                server.connect(self.target)
            else:
                server = socket.create_connection(self.target, timeout=CONTROL_S / 2)
        except OSError:
            _reset(client)
            return
        for sock in (client, server):
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(self, self.connections, client, server)
        self.connections += 1
        self.links.add(link)
        self.touched.add(link)
        up, down = link.lines[TO_SERVER], link.lines[TO_CLIENT]
        # data: the line that reads from this socket, and the line that writes to it
        self._selector.register(client, selectors.EVENT_READ, (up, down))
        self._selector.register(server, selectors.EVENT_READ, (down, up))
        for rule in self.rules:
            self._arm_line(link.lines[rule.direction], rule)

    def _pump_all(self) -> float | None:
        """Deliver where something happened or is due; seconds until the next is due, if any."""
        now = time.monotonic()
        work = self.touched | {link for link in self.timed if link.next_at is None or link.next_at <= now}
        self.touched.clear()
        for link in work:
            times = [line.pump(time.monotonic()) for line in link.lines.values()]
            if link.closed:
                continue
            link.next_at = min((at for at in times if at is not None), default=None)
            (self.timed.discard if link.next_at is None else self.timed.add)(link)
            self._watch(link)
        if self.touched:
            return 0.0
        earliest = min((link.next_at for link in self.timed if link.next_at is not None), default=None)
        return None if earliest is None else max(0.0, earliest - time.monotonic())

    def _watch(self, link: Link) -> None:
        """Ask the selector for what the lines can use now: no busy loop on a socket nobody reads."""
        for sock in (link.client, link.server):
            key = self._selector.get_map().get(sock)
            reads, writes = link.lines[TO_SERVER], link.lines[TO_CLIENT]
            if sock is link.server:
                reads, writes = writes, reads
            wanted = (selectors.EVENT_READ if reads.wants_read else 0) | (
                selectors.EVENT_WRITE if writes.sink_full and not writes.held else 0
            )
            if key is None:
                if wanted:
                    self._selector.register(sock, wanted, (reads, writes))
            elif not wanted:
                self._selector.unregister(sock)
            elif key.events != wanted:
                self._selector.modify(sock, wanted, key.data)

    def forget(self, sock: socket.socket) -> None:
        """Take a socket out of the selector, if it is there."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)


P = TypeVar("P", bound=FaultProxy)
