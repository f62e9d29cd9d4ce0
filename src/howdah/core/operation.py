"""An operation: one request, and the replies that belong to it.

What an operation sends fixes which replies must come, in which order. That order is its *script*, a step a message
it sent that has an answer; the session's reply queue holds the operations, and the head of the queue follows its
script until the last step is done. Pipelining, the BEGIN in front of a first statement and executemany are only
longer scripts.

    step       sent                      replies that end it
    PARSE      Parse                     ParseComplete
    BIND       Bind                      BindComplete
    CLOSE      Close                     CloseComplete
    DESCRIBE   Describe(portal)          RowDescription | NoData
    EXECUTE    Execute                   DataRow* then CommandComplete | EmptyQueryResponse | PortalSuspended,
                                         or a COPY, entered through one of the COPY steps
    QUIET      Execute of our own BEGIN  CommandComplete
    SIMPLE     Query                     any number of results, then ReadyForQuery
    SYNC       Sync                      ReadyForQuery

An ErrorResponse fails the operation: the server skips everything up to the next Sync, so the script does too. A Query
behind a failed BEGIN is skipped with it; a Query that fails itself still ends with its own ReadyForQuery.

``ACTIONS[step * 128 + message type]`` says what a message means in a step; 0 is a protocol violation.
"""

from __future__ import annotations

from howdah.core.rows import RowPlan, Sink, TupleSink

PARSE = 0
BIND = 1
CLOSE = 2
DESCRIBE = 3
EXECUTE = 4
QUIET = 5
SIMPLE = 6
SYNC = 7
COPY_IN = 8
COPY_OUT = 9
COPY_BOTH = 10
STARTUP = 11
STEPS = 12

STEP_NAMES = (
    "PARSE", "BIND", "CLOSE", "DESCRIBE", "EXECUTE", "QUIET", "SIMPLE", "SYNC", "COPY_IN", "COPY_OUT", "COPY_BOTH", "STARTUP",
)  # fmt: skip

VIOLATION = 0
ADVANCE = 1
PARSED = 2
DESCRIBED = 3
NO_DATA = 4
ROW = 5
COMPLETE = 6
EMPTY = 7
SUSPENDED = 8
READY = 9
START_COPY_IN = 10
START_COPY_OUT = 11
START_COPY_BOTH = 12
COPY_DATA = 13
COPY_DONE = 14
CUSTOM = 15
BEGUN = 16

TRANSITIONS = {
    PARSE: {"1": PARSED},
    BIND: {"2": ADVANCE},
    CLOSE: {"3": ADVANCE},
    DESCRIBE: {"T": DESCRIBED, "n": NO_DATA},
    EXECUTE: {
        "D": ROW, "C": COMPLETE, "I": EMPTY, "s": SUSPENDED,
        "G": START_COPY_IN, "H": START_COPY_OUT, "W": START_COPY_BOTH,
    },
    QUIET: {"C": BEGUN},
    SIMPLE: {
        "T": DESCRIBED, "D": ROW, "C": COMPLETE, "I": EMPTY, "Z": READY,
        "G": START_COPY_IN, "H": START_COPY_OUT, "W": START_COPY_BOTH,
    },
    SYNC: {"Z": READY},
    # a COPY that nobody asked for with copy(): refused (CopyFail was sent) or read past
    COPY_IN: {},
    COPY_OUT: {"d": COPY_DATA, "c": COPY_DONE},
    COPY_BOTH: {"d": COPY_DATA, "c": COPY_DONE},
    STARTUP: {"R": CUSTOM, "K": CUSTOM, "v": CUSTOM, "Z": CUSTOM},
}  # fmt: skip


def _table() -> bytes:
    table = bytearray(STEPS * 128)
    for step, row in TRANSITIONS.items():
        for letter, action in row.items():
            table[step * 128 + ord(letter)] = action
    return bytes(table)


ACTIONS = _table()


class Result:
    """What one statement gave: its plan (None: no rows), its rows in a sink, and its command tag."""

    __slots__ = ("plan", "sink", "suspended", "tag")

    def __init__(self, plan: RowPlan, sink: Sink) -> None:
        self.plan = plan
        self.sink = sink
        self.tag = None
        self.suspended = False

    def __reduce__(self):
        raise TypeError("a result cannot be pickled")


class Operation:
    """One request in the reply queue.

    ``sent``: True once any byte of it may have left. ``deadline``: a time on the driver's monotonic clock, in seconds, or
    None; ``timeout_s`` is what it was made of, for the words of its error. The marks ``sent_at``, ``first_at`` and
    ``done_at`` are on the same clock; the driver sets them when the session has a hook. ``waiter`` belongs to the
    driver, ``note`` to the hook, which sets it.
    """

    __slots__ = (
        "at",
        "binary",
        "bytes_in",
        "bytes_out",
        "deadline",
        "discard",
        "done",
        "done_at",
        "error",
        "first_at",
        "formats",
        "note",
        "plan",
        "query",
        "remembered",
        "result",
        "results",
        "script",
        "sent",
        "sent_at",
        "sink",
        "statement",
        "step",
        "timeout_s",
        "waiter",
    )

    def __init__(self, script: bytes) -> None:
        self.script = script
        self.at = 0
        self.step = script[0]
        self.statement = None
        self.query = None
        self.plan = None
        self.sink = None
        self.result = None
        self.results: list[Result] | None = None
        self.discard = False
        self.remembered = False
        self.formats = b""
        self.binary = False
        self.error: BaseException | None = None
        self.done = False
        self.sent = False
        self.bytes_out = 0
        self.bytes_in = 0
        self.deadline: float | None = None
        self.timeout_s = 0.0
        self.sent_at = 0.0
        self.first_at = 0.0
        self.done_at = 0.0
        self.waiter: object = None

    def __reduce__(self):
        raise TypeError("an operation cannot be pickled")

    def advance(self) -> bool:
        """The current step is done; True when it was the last one."""
        self.at += 1
        if self.at == len(self.script):
            self.done = True
            return True
        self.step = self.script[self.at]
        return False

    def skip_to_sync(self) -> None:
        """The server ignores what it has of this operation up to the next Sync."""
        if self.script[self.at] == SIMPLE:
            # a Query ends with its own ReadyForQuery, also from within a COPY
            self.step = SIMPLE
            return
        # every script that has no SIMPLE step ends with a SYNC
        while self.at < len(self.script) - 1 and self.script[self.at] != SYNC:
            self.at += 1
        self.step = self.script[self.at]

    def begin_result(self, plan: RowPlan) -> None:
        """Rows of ``plan`` follow (None: the statement returns none)."""
        self.plan = plan
        self.sink = Sink() if self.discard else TupleSink()
        self.result = Result(plan, self.sink)

    def end_result(self, tag: object, suspended: bool) -> None:
        """A statement is done."""
        if self.result is None:
            self.begin_result(None)
        self.result.tag = tag
        self.result.suspended = suspended
        if self.sink.error is not None and self.error is None:
            self.error = self.sink.error
        if self.results is None:
            self.results = [self.result]
        else:
            self.results.append(self.result)
        self.result = None
        self.sink = None

    def abandon(self) -> None:
        """Its caller has gone: the rest of the answer is read and forgotten."""
        self.discard = True
        self.results = None
        if self.sink is not None:
            self.sink = Sink()
            if self.result is not None:
                self.result = Result(self.result.plan, self.sink)

    def fail(self, error: BaseException) -> None:
        """The first error is the one the caller gets."""
        if self.error is None:
            self.error = error

    def take(self, session: object, kind: int, body: bytes) -> bool:
        """A message of a STARTUP step; subclasses know what it means. True when the operation is done."""
        return False
