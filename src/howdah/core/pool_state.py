"""The books of a pool: which connections there are, who has them, who waits, what is to be opened and closed.

Compiled, so that Ctrl-C never leaves a step half done: signal handlers run between the bytecodes of Python code only.

No I/O, no clock and no lock: the shells (``_async/pool.py`` and its sync twin) hand the time in, hold their lock around
every call, wake whom the books wake, and carry out the orders that a call leaves in ``to_open`` and ``to_close``. So the same
rules serve threads and tasks, and a test can walk through a million steps of them in a minute.

A connection has a *slot* from the moment it is decided to open it until it is decided to close it:

    OPENING --opened--> IDLE <--> TAKEN          any of them --> GONE

A caller that finds no idle slot gets a *ticket* in a queue, first come, first served. Whoever gives a slot back hands it
to the first ticket before anybody else can see it, so a waiter never loses a race, and these hold after every call:

- idle slots and waiting tickets never exist at the same time
- there are never more slots than ``max_size`` (but for those taken when it was made smaller)
- while tickets wait and there is room, slots are being opened, or the time of the next attempt is set

A caller that leaves the queue (time-out, cancellation, Ctrl-C) takes its ticket out; if a slot was handed to it in that very
moment, the slot goes on to the next.

A server that cannot be reached meets one attempt at a time, however many connections were lost together: after a failure
all other openings wait for the outcome of a single probe, whose next time backs off with jitter.
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from howdah.errors import PoolClosed, TooManyRequests

OPENING = "opening"
IDLE = "idle"
TAKEN = "taken"
GONE = "gone"

FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 10.0
# a lifetime is cut by up to this part of it, so that connections opened together do not end together
LIFETIME_JITTER = 0.1

FOREVER = float("inf")


class Slot:
    """A connection's place in the pool. ``holder``, ``pending`` and ``settings`` belong to the shell."""

    __slots__ = (
        "connection",
        "expires_at",
        "generation",
        "holder",
        "idle_since",
        "opened_at",
        "pending",
        "settings",
        "state",
        "taken_at",
        "uses",
    )

    def __init__(self, generation: int) -> None:
        self.state = OPENING
        self.connection: Any = None
        self.generation = generation
        self.opened_at = 0.0
        self.expires_at = FOREVER
        self.idle_since = 0.0
        self.taken_at = 0.0
        self.uses = 0
        self.holder: Any = None
        self.pending: Any = None
        self.settings: Any = None

    def __reduce__(self):
        raise TypeError("a place in a pool cannot be pickled")


class Ticket:
    """A caller in the queue, with what lets it go on: ``wake`` is called once, when there is a slot or an error."""

    __slots__ = ("error", "queued_at", "slot", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.slot: Slot | None = None
        self.error: BaseException | None = None
        self.queued_at = 0.0
        self.wake = wake

    def __reduce__(self):
        raise TypeError("a place in a queue cannot be pickled")


class PoolState:
    """The books. ``to_open`` holds slots to be opened, ``to_close`` connections to be closed: take them out and do it."""

    __slots__ = (
        "chance",
        "closed",
        "counts",
        "failing_since",
        "failure",
        "failures",
        "fullness",
        "generation",
        "idle",
        "keeps_idle",
        "lifo",
        "max_idle_s",
        "max_lifetime_s",
        "max_size",
        "max_uses",
        "max_waiting",
        "min_size",
        "opening",
        "retry_at",
        "slots",
        "to_close",
        "to_open",
        "waiting",
    )

    def __init__(
        self,
        min_size: int,
        max_size: int,
        *,
        lifo: bool,
        keeps_idle: bool = True,
        max_waiting: int = 0,
        max_lifetime_s: float = FOREVER,
        max_idle_s: float = FOREVER,
        max_uses: int | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.min_size = min_size
        self.max_size = max_size
        self.lifo = lifo
        self.keeps_idle = keeps_idle
        self.max_waiting = max_waiting
        self.max_lifetime_s = max_lifetime_s
        self.max_idle_s = max_idle_s
        self.max_uses = max_uses
        self.chance = chance
        self.closed = True
        self.generation = 0
        self.slots: set[Slot] = set()
        self.idle: deque[Slot] = deque()  # the one used last is the rightmost
        self.waiting: OrderedDict[Ticket, None] = OrderedDict()
        self.fullness: list[Ticket] = []
        self.opening = 0
        self.to_open: deque[Slot] = deque()
        self.to_close: list[Any] = []
        # since the last success: attempts that failed, when the outage began, the last error
        self.failures = 0
        self.failing_since = 0.0
        self.failure: BaseException | None = None
        self.retry_at = 0.0
        self.counts = dict.fromkeys(COUNTERS, 0)

    def __reduce__(self):
        raise TypeError("the books of a pool cannot be pickled")

    # -- callers

    def take(self, now: float) -> Slot | None:
        """An idle slot, now the caller's; None when there is none. Raises PoolClosed."""
        if self.closed:
            raise PoolClosed("the pool is closed: open() it first, or use it in a with block")
        idle = self.idle
        while idle:
            slot = idle.pop() if self.lifo else idle.popleft()
            if now < slot.expires_at:
                slot.state = TAKEN
                slot.taken_at = now
                return slot
            self._remove(slot)
            self.plan(now)
        return None

    def queue(self, ticket: Ticket, now: float) -> None:
        """The caller waits. Raises TooManyRequests when the queue is as long as it may be."""
        if self.max_waiting and len(self.waiting) >= self.max_waiting:
            self.counts["requests_errors"] += 1
            raise TooManyRequests(
                f"{len(self.waiting)} callers wait for a connection already, and max_waiting is {self.max_waiting}"
            )
        ticket.queued_at = now
        self.waiting[ticket] = None
        self.counts["requests_queued"] += 1
        self.plan(now)

    def leave(self, ticket: Ticket, now: float) -> None:
        """The caller waits no longer. A slot that it was handed in the same moment goes on to the next."""
        slot, ticket.slot = ticket.slot, None
        if slot is not None:
            self._keep(slot, now)
        else:
            self.waiting.pop(ticket, None)

    def give_back(self, slot: Slot, now: float, usable: bool) -> None:
        """The caller has done with a slot. ``usable``: its connection may go to another caller."""
        slot.holder = None
        slot.uses += 1
        self.counts["usage_ms"] += int((now - slot.taken_at) * 1000)
        if not usable:
            self.counts["returns_bad"] += 1
        worn = self.max_uses is not None and slot.uses >= self.max_uses
        if usable and not worn:
            self._keep(slot, now)
        else:
            self._remove(slot)
            self.plan(now)

    def _keep(self, slot: Slot, now: float) -> None:
        """The slot is the first ticket's, or idle when nobody waits, unless its time is over or there are too many."""
        outdated = self.closed or slot.generation != self.generation or now >= slot.expires_at
        surplus = len(self.slots) > self.max_size or not (self.waiting or self.keeps_idle)
        if outdated or surplus:
            self._remove(slot)
            self.plan(now)
        elif self.waiting:
            ticket, _ = self.waiting.popitem(last=False)
            slot.state = TAKEN
            slot.taken_at = now
            ticket.slot = slot
            self.counts["requests_wait_ms"] += int((now - ticket.queued_at) * 1000)
            ticket.wake()
        else:
            slot.state = IDLE
            slot.idle_since = now
            self.idle.append(slot)

    def _remove(self, slot: Slot) -> None:
        if slot.state == OPENING:
            self.opening -= 1
        slot.state = GONE
        self.slots.discard(slot)
        if slot.connection is not None:
            self.to_close.append(slot.connection)

    # -- opening

    def plan(self, now: float) -> None:
        """Orders the openings that the queue and ``min_size`` ask for."""
        if self.closed:
            return
        room = self.max_size - len(self.slots)
        wanted = min(max(self.min_size - len(self.slots), len(self.waiting) - self.opening), room)
        if self.failures:
            wanted = min(wanted, 1 - self.opening) if now >= self.retry_at else 0
        for _ in range(wanted):
            slot = Slot(self.generation)
            self.slots.add(slot)
            self.opening += 1
            self.to_open.append(slot)

    def opened(self, slot: Slot, connection: Any, now: float) -> None:
        """The slot has its connection."""
        self.counts["connections_num"] += 1
        slot.connection = connection
        if self.failures:
            self.failures = 0
            self.failure = None
            self.retry_at = 0.0
        self.opening -= 1
        slot.opened_at = now
        if self.max_lifetime_s != FOREVER:
            slot.expires_at = now + self.max_lifetime_s * (1 - LIFETIME_JITTER * self.chance())
        slot.state = TAKEN
        self._keep(slot, now)
        self._tell_fullness()
        self.plan(now)

    def opening_failed(self, slot: Slot, error: BaseException, now: float, final: bool) -> None:
        """The slot got no connection. ``final``: waiting will not help, so who waits hears of it now."""
        self.counts["connections_num"] += 1
        self.counts["connections_errors"] += 1
        self._remove(slot)
        if not self.failures:
            self.failing_since = now
        self.failures += 1
        self.failure = error
        backoff_s = min(FIRST_BACKOFF_S * 2 ** min(self.failures - 1, 16), MAX_BACKOFF_S)
        self.retry_at = now + backoff_s * (0.5 + self.chance() / 2)
        # the others of the same rush have the same fate before them; only what has begun goes on
        while self.to_open:
            self._remove(self.to_open.pop())
        if final:
            self._fail_all(error)

    def opening_abandoned(self, slot: Slot, now: float) -> None:
        """Whoever was opening the slot was stopped; that says nothing of the server."""
        self._remove(slot)
        self.plan(now)

    # -- the pool as a whole

    def open(self, now: float) -> None:
        self.closed = False
        self.plan(now)

    def close(self, error: BaseException) -> None:
        """Closes what is idle, and all else as it comes back; ``error`` goes to who waits."""
        self.closed = True
        while self.idle:
            self._remove(self.idle.pop())
        while self.to_open:
            self._remove(self.to_open.pop())
        self._fail_all(error)

    def forget(self) -> None:
        """In a forked child: none of the connections, and nobody who waits, is here."""
        self.idle.clear()
        self.slots.clear()
        self.to_open.clear()
        self.to_close.clear()
        self.waiting.clear()
        self.fullness.clear()
        self.opening = 0
        self.failures = 0

    def _fail_all(self, error: BaseException) -> None:
        tickets = [*self.waiting, *self.fullness]
        self.waiting.clear()
        self.fullness.clear()
        for ticket in tickets:
            ticket.error = error
            ticket.wake()

    def is_full(self) -> bool:
        """Whether all connections of ``min_size`` are open."""
        return len(self.slots) - self.opening >= self.min_size

    def wait_until_full(self, ticket: Ticket) -> None:
        """The ticket is woken when ``min_size`` connections are open."""
        self.fullness.append(ticket)
        self._tell_fullness()

    def leave_fullness(self, ticket: Ticket) -> None:
        if ticket in self.fullness:
            self.fullness.remove(ticket)

    def _tell_fullness(self) -> None:
        if self.fullness and self.is_full():
            tickets, self.fullness = self.fullness, []
            for ticket in tickets:
                ticket.wake()

    def resize(self, min_size: int, max_size: int, now: float) -> None:
        self.min_size = min_size
        self.max_size = max_size
        while len(self.slots) > max_size and self.idle:
            self._remove(self.idle.popleft())
        self.plan(now)

    def drain(self, now: float) -> None:
        """Every connection that is open now is replaced: the idle ones at once, the others when they come back."""
        self.generation += 1
        while self.idle:
            self._remove(self.idle.popleft())
        self.plan(now)

    def keep_house(self, now: float) -> None:
        """Closes what has been idle or open for too long, opens what is missing."""
        surplus = len(self.slots) - self.min_size
        kept: deque[Slot] = deque()
        for slot in self.idle:  # the longest idle first
            if now >= slot.expires_at:
                self._remove(slot)
                surplus -= 1
            elif surplus > 0 and now - slot.idle_since >= self.max_idle_s:
                self._remove(slot)
                surplus -= 1
            else:
                kept.append(slot)
        self.idle = kept
        self.plan(now)

    def next_at(self, now: float) -> float:
        """When keep_house() has something to do next."""
        when = FOREVER
        for slot in self.idle:
            when = min(when, slot.expires_at)
        if self.idle and len(self.slots) > self.min_size:
            when = min(when, self.idle[0].idle_since + self.max_idle_s)
        if self.failures and not self.opening:
            room = self.max_size > len(self.slots)
            if room and (self.waiting or len(self.slots) < self.min_size):
                when = min(when, self.retry_at)
        return when


COUNTERS = (
    "requests_num",
    "requests_queued",
    "requests_wait_ms",
    "requests_errors",
    "usage_ms",
    "returns_bad",
    "connections_num",
    "connections_ms",
    "connections_errors",
    "connections_lost",
)
