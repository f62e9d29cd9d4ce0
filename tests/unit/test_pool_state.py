"""The pool's books, walked through at random: what they promise holds after every step."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from howdah.core.pool_state import GONE, IDLE, OPENING, TAKEN, PoolState, Slot, Ticket
from howdah.errors import OperationalError, PoolClosed, TooManyRequests

STEPS = 1_000_000 if os.environ.get("HOWDAH_SCALE") == "full" else 50_000


class Connection:
    """A connection is open, or closed once."""

    def __init__(self) -> None:
        self.closed = False


class Caller:
    """A ticket, and how often it was woken."""

    def __init__(self) -> None:
        self.woken = 0
        self.ticket = Ticket(self.wake)

    def wake(self) -> None:
        self.woken += 1


def check_books(state: PoolState) -> None:
    """The books do not contradict themselves."""
    assert not (state.idle and state.waiting), "an idle connection and a waiting caller"
    assert state.opening == sum(slot.state == OPENING for slot in state.slots) >= 0
    assert {slot for slot in state.slots if slot.state == IDLE} == set(state.idle)
    assert len(set(state.idle)) == len(state.idle)
    assert all(slot.state != GONE for slot in state.slots)
    assert all(slot.state == OPENING for slot in state.to_open)
    assert len(state.slots) <= state.max_size or not state.idle
    assert all(ticket.slot is None and ticket.error is None for ticket in state.waiting)
    if state.closed:
        assert not state.idle and not state.waiting and not state.to_open
    elif state.waiting and len(state.slots) < state.max_size:
        assert state.opening or state.failures, "a caller waits, there is room, and nobody opens a connection"


class Walk:
    """A pool and all who use it; each method is one step, and ``check`` what must hold after it."""

    def __init__(self, state: PoolState) -> None:
        self.state = state
        self.now = 1000.0
        self.taken: list[Slot] = []
        self.waiting: list[Caller] = []
        self.opening: list[Slot] = []
        self.alive: set[Connection] = set()
        self.served_in_order = 0
        state.open(self.now)
        self.carry_out()

    def carry_out(self) -> None:
        state = self.state
        while state.to_close:
            connection = state.to_close.pop()
            assert not connection.closed, "closed twice"
            connection.closed = True
            self.alive.discard(connection)
        while state.to_open:
            slot = state.to_open.popleft()
            assert slot.state == OPENING
            self.opening.append(slot)

    def check(self) -> None:
        self.carry_out()
        state = self.state
        check_books(state)
        for slot in self.taken:
            assert slot.state == TAKEN and not slot.connection.closed, "a caller's connection was taken away"
        held = [slot.connection for slot in (*self.taken, *state.idle)]
        held += [caller.ticket.slot.connection for caller in self.waiting if caller.ticket.slot is not None]
        assert len({id(connection) for connection in held}) == len(held), "one connection, two holders"
        assert {id(connection) for connection in held} == {id(connection) for connection in self.alive}, "stranded"
        assert set(self.opening) == {slot for slot in state.slots if slot.state == OPENING}
        for caller in self.waiting:
            ticket = caller.ticket
            assert (ticket in state.waiting) == (ticket.slot is None and ticket.error is None)
            assert caller.woken == (ticket not in state.waiting)

    def ask(self) -> None:
        try:
            slot = self.state.take(self.now)
        except PoolClosed:
            assert self.state.closed
            return
        if slot is not None:
            assert not slot.connection.closed
            self.taken.append(slot)
            return
        caller = Caller()
        try:
            self.state.queue(caller.ticket, self.now)
        except TooManyRequests:
            assert len(self.state.waiting) == self.state.max_waiting
        else:
            self.waiting.append(caller)

    def go_on(self, index: int) -> None:
        """A caller that was woken goes on."""
        woken = [caller for caller in self.waiting if caller.woken]
        if woken:
            caller = woken[index % len(woken)]
            self.waiting.remove(caller)
            ticket = caller.ticket
            if ticket.slot is not None:
                self.taken.append(ticket.slot)
            else:
                assert ticket.error is not None

    def leave(self, index: int) -> None:
        """A caller is cancelled, woken or not."""
        if self.waiting:
            caller = self.waiting.pop(index % len(self.waiting))
            self.state.leave(caller.ticket, self.now)

    def give_back(self, index: int, usable: bool) -> None:
        if self.taken:
            slot = self.taken.pop(index % len(self.taken))
            first = next(iter(self.state.waiting), None)
            self.state.give_back(slot, self.now, usable)
            if first is not None and slot.state != GONE:
                assert first.slot is slot, "not the first in the queue"

    def open_ends(self, index: int, outcome: str) -> None:
        if not self.opening:
            return
        slot = self.opening.pop(index % len(self.opening))
        if outcome == "opened":
            connection = Connection()
            self.alive.add(connection)
            self.state.opened(slot, connection, self.now)
        elif outcome == "abandoned":
            self.state.opening_abandoned(slot, self.now)
        else:
            self.state.opening_failed(slot, OperationalError("refused"), self.now, outcome == "final")
            assert self.state.retry_at > self.now

    def settle(self) -> None:
        """The server is well and everybody goes on: the pool gets back to its size and serves all who wait."""
        state = self.state
        if state.closed:
            return
        for _ in range(10_000):
            self.check()
            if self.opening:
                self.open_ends(0, "opened")
            elif any(caller.woken for caller in self.waiting):
                self.go_on(0)
            elif self.waiting and self.taken:
                self.give_back(0, True)
            elif state.next_at(self.now) <= self.now + 3600 and (self.waiting or len(state.slots) < state.min_size):
                self.now = max(self.now, state.next_at(self.now))
                state.keep_house(self.now)
                state.plan(self.now)
            else:
                break
        self.check()
        assert not self.waiting, "callers wait for ever"
        state.keep_house(self.now)
        self.carry_out()
        while self.opening:
            self.open_ends(0, "opened")
            self.carry_out()
        assert len(state.slots) >= state.min_size


OUTCOMES = ("opened", "opened", "opened", "failed", "final", "abandoned")


def books(chance: Any, pick: Any) -> PoolState:
    min_size = pick(0, 3)
    null = min_size == 0 and pick(0, 1) == 1
    return PoolState(
        min_size,
        max(min_size, 1) + pick(0, 3),
        lifo=bool(pick(0, 1)),
        keeps_idle=not null,
        max_waiting=pick(0, 4),
        max_lifetime_s=(50.0, float("inf"))[pick(0, 1)],
        max_idle_s=(10.0, 600.0)[pick(0, 1)],
        max_uses=(None, 3)[pick(0, 1)],
        chance=chance,
    )


@pytest.mark.parametrize("seed", range(10))
def test_random_walks(seed: int) -> None:
    """As many steps as a test may take; hypothesis below takes fewer, and shrinks."""
    chance = random.Random(seed)
    walked = 0
    while walked < STEPS // 10:
        walk = Walk(books(chance.random, chance.randint))
        steps = chance.randint(50, 1000)
        for _ in range(steps):
            draw = chance.random()
            index = chance.randint(0, 100)
            if draw < 0.30:
                walk.ask()
            elif draw < 0.50:
                walk.give_back(index, chance.random() < 0.9)
            elif draw < 0.65:
                walk.open_ends(index, chance.choice(OUTCOMES))
            elif draw < 0.80:
                walk.go_on(index)
            elif draw < 0.90:
                walk.leave(index)
            elif draw < 0.96:
                walk.now += chance.choice((0.01, 1.0, 30.0))
                walk.state.keep_house(walk.now)
            elif draw < 0.98:
                least = chance.randint(0, 4)
                if walk.state.keeps_idle:
                    walk.state.resize(least, max(least, 1) + chance.randint(0, 3), walk.now)
            elif draw < 0.99:
                walk.state.drain(walk.now)
            elif draw < 0.993:
                walk.state.close(PoolClosed("closed"))
            elif walk.state.closed:
                walk.state.open(walk.now)
            walk.check()
        walked += steps
        walk.settle()


class PoolBooks(RuleBasedStateMachine):
    """The same steps for hypothesis, which finds the shortest way to what is wrong."""

    walk: Walk

    @initialize(data=st.data())
    def begin(self, data: Any) -> None:
        self.walk = Walk(books(lambda: 0.5, lambda low, high: data.draw(st.integers(low, high))))

    @rule()
    def ask(self) -> None:
        self.walk.ask()

    @rule(index=st.integers(0, 9), usable=st.booleans())
    def give_back(self, index: int, usable: bool) -> None:
        self.walk.give_back(index, usable)

    @rule(index=st.integers(0, 9), outcome=st.sampled_from(OUTCOMES))
    def open_ends(self, index: int, outcome: str) -> None:
        self.walk.open_ends(index, outcome)

    @rule(index=st.integers(0, 9))
    def go_on(self, index: int) -> None:
        self.walk.go_on(index)

    @rule(index=st.integers(0, 9))
    def leave(self, index: int) -> None:
        self.walk.leave(index)

    @rule(seconds=st.sampled_from((0.01, 1.0, 30.0, 100.0)))
    def time_passes(self, seconds: float) -> None:
        self.walk.now += seconds
        self.walk.state.keep_house(self.walk.now)

    @rule(least=st.integers(0, 4), more=st.integers(1, 3))
    def resize(self, least: int, more: int) -> None:
        if self.walk.state.keeps_idle:
            self.walk.state.resize(least, least + more, self.walk.now)

    @rule()
    def drain(self) -> None:
        self.walk.state.drain(self.walk.now)

    @precondition(lambda self: not self.walk.state.closed)
    @rule()
    def close(self) -> None:
        self.walk.state.close(PoolClosed("closed"))

    @precondition(lambda self: self.walk.state.closed)
    @rule()
    def open(self) -> None:
        self.walk.state.open(self.walk.now)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "walk"):
            self.walk.check()

    def teardown(self) -> None:
        if hasattr(self, "walk"):
            self.walk.settle()


TestPoolBooks = PoolBooks.TestCase
TestPoolBooks.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
