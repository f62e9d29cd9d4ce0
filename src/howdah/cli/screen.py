"""What the demo writes on: headings, SQL, tables, times. Colours and a moving sign of life on a terminal only."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from howdah.cli.table import render, shortened

MARGIN = "   "
MAX_WIDTH = 96
MIN_WIDTH = 60
STYLES = {"heading": "1", "keyword": "36", "string": "32", "placeholder": "35", "dim": "2", "error": "31"}
# the SQL of the demo writes its keywords in capitals
SQL_TOKEN = re.compile(
    r"(?P<string>'[^']*')|(?P<placeholder>%\(\w+\)s|%s)|(?P<dim>--[^\n]*)|(?P<keyword>\b[A-Z]{2,}\b)"
)


class Screen:
    """A text stream of at most 96 columns, standard output by default."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stdout
        self.is_terminal = self.stream.isatty()
        self.coloured = (
            self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        )
        columns = shutil.get_terminal_size((MAX_WIDTH, 24)).columns if self.is_terminal else MAX_WIDTH
        self.width = max(min(columns, MAX_WIDTH), MIN_WIDTH)
        self._steps = 0
        reconfigure = getattr(self.stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # a terminal that knows no UTF-8 is no reason to fail

    def styled(self, text: str, style: str) -> str:
        """``text`` in a style of STYLES, where there are colours."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.coloured and text else text

    def line(self, text: str = "", style: str | None = None) -> None:
        """One line behind the margin."""
        shown = self.styled(text, style) if style else text
        self.stream.write((MARGIN + shown if text else "") + "\n")
        self.stream.flush()

    def title(self, text: str) -> None:
        """The first line of all."""
        self.stream.write(self.styled(text, "heading") + "\n")
        self.stream.flush()

    def step(self, heading: str, what: str = "") -> None:
        """Begins a step: its number and heading, and a sentence on what it does."""
        self._steps += 1
        self.stream.write("\n" + self.styled(f"{self._steps}. {heading}", "heading") + "\n")
        if what:
            self.say(what)
        self.line()

    def say(self, text: str) -> None:
        """A sentence or two, wrapped."""
        for line in textwrap.wrap(text, self.width - len(MARGIN)):
            self.line(line)

    def code(self, text: str) -> None:
        """What a program writes in Python to have this done."""
        for line in text.splitlines():
            self.line(">>> " + line, "dim")

    def sql(self, text: str, params: Any = None) -> None:
        """A statement, and below it its parameters."""
        for line in textwrap.dedent(text).strip().splitlines():
            self.line(SQL_TOKEN.sub(self._coloured_token, line) if self.coloured else line)
        if params is not None:
            self.line(shortened(f"params: {params!r}", self.width - len(MARGIN)), "dim")

    def _coloured_token(self, match: re.Match[str]) -> str:
        return self.styled(match.group(), match.lastgroup or "keyword")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """An aligned table, set off from the text by its own margin."""
        for number, line in enumerate(render(columns, rows, self.width - 2 * len(MARGIN))):
            self.line(MARGIN + line, "dim" if number < 2 else None)

    def error(self, exc: BaseException) -> None:
        """An exception as a program's log would show it: its class and what str() says, line by line."""
        for number, line in enumerate(str(exc).splitlines()):
            self.line(MARGIN + (f"{type(exc).__name__}: {line}" if number == 0 else line), "error")

    def took(self, what: str, seconds: float) -> None:
        """The line below a result: what it was, and how long it took."""
        self.line(f"{what}, {duration(seconds)}" if what else duration(seconds), "dim")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """While the block runs: a line that says so, with the seconds running on a terminal."""
        if not self.is_terminal:
            self.line(f"{what} ...")
            yield
            return
        started = time.monotonic()
        over = threading.Event()

        def tick() -> None:
            while True:
                self.stream.write(f"\r{MARGIN}{what} ... {time.monotonic() - started:.1f} s")
                self.stream.flush()
                if over.wait(0.1):
                    return

        ticker = threading.Thread(target=tick, name="howdah-demo-clock", daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()
            self.stream.write("\r" + " " * self.width + "\r")
            self.stream.flush()


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
