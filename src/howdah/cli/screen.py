"""What the demo writes on: headings, SQL, tables, times. Colours and a running clock on a terminal only."""

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

from howdah.cli.table import render

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
        self.coloured = self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        columns = shutil.get_terminal_size((MAX_WIDTH, 24)).columns if self.is_terminal else MAX_WIDTH
        self.width = max(min(columns, MAX_WIDTH), MIN_WIDTH)
        self._steps = 0
        self._line_is_blank = False
        reconfigure = getattr(self.stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # a terminal that knows no UTF-8 is no reason to fail

    def styled(self, text: str, style: str) -> str:
        """``text`` in a style of STYLES, where there are colours."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.coloured and text else text

    def line(self, text: str = "", style: str | None = None) -> None:
        """One line behind the margin; blank lines never come in pairs."""
        if text:
            self._write(MARGIN + (self.styled(text, style) if style else text) + "\n")
        elif not self._line_is_blank:
            self._write("\n")
        self._line_is_blank = not text

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

    def title(self, text: str) -> None:
        """The first line of all."""
        self._write(self.styled(text, "heading") + "\n")

    def step(self, heading: str, what: str) -> None:
        """Begins a step: its number and heading, and a sentence on what it does."""
        self._steps += 1
        self.line()
        self._write(self.styled(f"{self._steps}. {heading}", "heading") + "\n")
        self.say(what)

    def say(self, text: str) -> None:
        """A sentence or two, wrapped, and a blank line."""
        self._wrapped(text)
        self.line()

    def _wrapped(self, text: str, style: str | None = None, hanging: str = "") -> None:
        for line in textwrap.wrap(text, self.width - len(MARGIN), subsequent_indent=hanging):
            self.line(line, style)

    def code(self, text: str) -> None:
        """What a program writes in Python to have this done."""
        for line in text.splitlines():
            self.line(">>> " + line, "dim")

    def sql(self, text: str, params: Any = None) -> None:
        """A statement, and below it its parameters."""
        for line in textwrap.dedent(text).strip().splitlines():
            self.line(SQL_TOKEN.sub(self._coloured_token, line) if self.coloured else line)
        if params is not None:
            self._wrapped(f"params: {params!r}", "dim", " " * len("params: "))

    def _coloured_token(self, match: re.Match[str]) -> str:
        return self.styled(match.group(), match.lastgroup or "keyword")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """An aligned table, set off from the text by its own margin."""
        for number, line in enumerate(render(columns, rows, self.width - 2 * len(MARGIN))):
            self.line(MARGIN + line, "dim" if number < 2 else None)

    def error(self, exc: BaseException) -> None:
        """An exception as a log would show it: its class and what str() says; long lines are wrapped."""
        width = self.width - 2 * len(MARGIN)
        for line in f"{type(exc).__name__}: {exc}".splitlines():
            for part in textwrap.wrap(line, width, subsequent_indent="  ") if len(line) > width else [line]:
                self.line(MARGIN + part, "error")

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
                self._write(f"\r{MARGIN}{what} ... {time.monotonic() - started:.1f} s")
                if over.wait(0.1):
                    return

        ticker = threading.Thread(target=tick, name="howdah-demo-clock", daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()
            self._write("\r" + " " * (self.width - 1) + "\r")


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
