"""The receive buffer: bytes arrive at the end, whole messages are read from the start.

The store is never resized and never compacted while anything reads it. A message that does not fit gets a new
store, the unread tail is copied and the attribute swapped, so a reader that bound the old store to a local
keeps valid memory. Growth doubles as data really arrives: a header that announces a gigabyte allocates nothing
by itself; the store shrinks again when what arrives is small. ``view`` is the one memoryview of the store, made with it:
a bytearray that has one cannot be resized.
"""

from __future__ import annotations

# A connection starts small; one that fills its buffer in a single read gets a larger one: fewer system calls, and
# fewer passes of the garbage collector in between.
DEFAULT_CAPACITY = 32 * 1024
MAX_IDLE_CAPACITY = 256 * 1024


class InBuf:
    """Bytes received and not yet read: ``store[start:end]``."""

    __slots__ = ("end", "needed", "start", "store", "view")

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self.store = bytearray(capacity)
        self.view = memoryview(self.store)
        self.start = 0
        self.end = 0
        self.needed = 0

    def __reduce__(self):
        raise TypeError("a receive buffer cannot be pickled")

    def get_buffer(self) -> memoryview:
        """A writable view with room for at least one byte; what was read before is dropped here, nowhere else."""
        capacity = len(self.store)
        if self.start == self.end:
            if self.end == capacity and capacity < MAX_IDLE_CAPACITY:
                self.store = bytearray(capacity * 2)
                self.view = memoryview(self.store)
            elif capacity > MAX_IDLE_CAPACITY and self.end * 8 < capacity:
                # a large message was here, and what came last is small again
                self.store = bytearray(max(capacity // 4, MAX_IDLE_CAPACITY))
                self.view = memoryview(self.store)
            self.start = 0
            self.end = 0
        elif self.needed > capacity - self.start or capacity - self.end < 4096:
            # make room: move the tail to the front, of a larger store if half of this one is already full
            unread = self.end - self.start
            wanted = capacity
            if self.needed > capacity and unread * 2 >= capacity:
                wanted = min(self.needed, capacity * 2)
            elif capacity - unread < 4096 or (self.end == capacity and capacity < MAX_IDLE_CAPACITY):
                wanted = capacity * 2
            fresh = bytearray(wanted)
            fresh[:unread] = memoryview(self.store)[self.start : self.end]
            self.store = fresh
            self.view = memoryview(fresh)
            self.start = 0
            self.end = unread
        return self.view[self.end :] if self.end else self.view

    def received(self, count: int) -> None:
        """Books ``count`` bytes that were written into the view of the last ``get_buffer``."""
        if count < 0 or count > len(self.store) - self.end:
            raise ValueError("more bytes booked than the buffer has room for")
        self.end += count

    def feed(self, data: bytes) -> None:
        """Copies ``data`` in: for tests and for drivers that own their buffer."""
        view = memoryview(data)
        while len(view):
            room = self.get_buffer()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            self.end += count
            view = view[count:]
