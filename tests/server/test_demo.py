"""`howdah demo` and the command around it: what it shows, how it ends, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

import howdah
from howdah.cli.table import display_width, render, shortened

SOURCE = Path(howdah.__file__).resolve().parents[1]
TIMEOUT_S = 90.0
HEADINGS = [
    "A PostgreSQL server",
    "Connect",
    "Write",
    "Ask",
    "Change your mind",
    "A wrong password",
    "Errors carry facts",
    "Fetch 100,000 rows",
    "What the server sees",
    "The same with await",
    "The end",
]
SMALLEST_PIPE_BYTES = 4096


@pytest.fixture
def folder() -> Iterator[Path]:
    """The demo's TMPDIR: short-named, open to the server's user, and empty of servers at the end."""
    made = Path(tempfile.mkdtemp(prefix="hd", dir="/tmp"))
    made.chmod(0o755)
    yield made
    deadline = time.monotonic() + TIMEOUT_S
    while (processes := processes_naming(str(made))) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = [path.name for path in made.iterdir() if not path.name.startswith("howdah-pg-")]
    shutil.rmtree(made)
    assert (processes, left) == ([], [])


def processes_naming(text: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(text) in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def environment(folder: Path | None = None, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "HOWDAH_PG_BIN")}
    kept |= {"PYTHONPATH": str(SOURCE), "TERM": "xterm", "COLUMNS": "80", "PYTHONUTF8": "1"}
    return kept | ({"TMPDIR": str(folder)} if folder is not None else {}) | changes


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "howdah", *arguments]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(**variables), capture_output=True, text=True, timeout=TIMEOUT_S
    )


@contextlib.contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The demo with its output in the smallest pipe there is: unread, it cannot get far ahead of the test."""
    process = subprocess.Popen(
        command("demo"), env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    assert process.stdout is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE_BYTES)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[bytes], mark: bytes) -> None:
    assert process.stdout is not None
    seen = b""
    deadline = time.monotonic() + TIMEOUT_S
    while mark not in seen:
        assert select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))[0], seen
        more = os.read(process.stdout.fileno(), 256)
        assert more, (seen, process.stderr and process.stderr.read())
        seen += more


def on_a_terminal(folder: Path, **changes: str) -> tuple[int, str]:
    """The demo's exit status and what a terminal gets of it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, command("demo"), environment(folder, **changes))
    seen = b""
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while select.select([terminal], [], [], max(deadline - time.monotonic(), 0))[0]:
            try:
                more = os.read(terminal, 4096)
            except OSError:  # Linux says EIO when the other end is closed
                break
            if not more:
                break
            seen += more
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), seen.decode()


# --- The demo


def test_piped(folder: Path) -> None:
    done = subprocess.run(command("demo"), env=environment(folder), capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.findall(r"^\d+\. (.*)$", done.stdout, re.MULTILINE) == HEADINGS
    assert "\x1b" not in done.stdout and "\r" not in done.stdout
    assert max(map(len, lines)) <= 96
    assert not any(first == second == "" for first, second in pairwise(lines))
    build = "compiled" if howdah.compiled else "pure Python"
    assert lines[0].startswith(f"howdah {howdah.__version__} ({build}), ")
    facts = dict(re.findall(r"^ +(\S+) {2,}(\S+)$", done.stdout, re.MULTILINE))
    assert facts["howdah.compiled"] == str(howdah.compiled)
    assert re.search(
        rf"^ +{facts['conn.info.backend_pid']}  idle in transaction  howdah-demo ", done.stdout, re.MULTILINE
    )
    for error in ("InvalidPassword: ", "UniqueViolation: ", "NotNullViolation: ", "SyntaxError: "):
        assert error in done.stdout
    assert "LINE 2: FORM elephants\n                   ^\n" in done.stdout
    assert re.search(r"UniqueViolation +23505 +elephants +elephants_name_key +NULL\n", done.stdout)
    assert re.search(r"NotNullViolation +23502 +elephants +NULL +name\n", done.stdout)
    assert len(re.findall(r" use: 100,000 rows, [\d,]+ rows/s, ", done.stdout)) == 2


def test_on_a_terminal(folder: Path) -> None:
    status, seen = on_a_terminal(folder)
    assert status == 0
    assert "\x1b[36mSELECT\x1b[0m" in seen
    assert "\r   starting PostgreSQL ... 0.0 s" in seen
    assert [heading for heading in HEADINGS if f". {heading}\x1b[0m" not in seen] == []


def test_no_color(folder: Path) -> None:
    status, seen = on_a_terminal(folder, NO_COLOR="1")
    assert status == 0
    assert "\x1b" not in seen
    assert "SELECT name" in seen


@pytest.mark.parametrize("when", ["starting PostgreSQL", "4. Ask", "10. The same"])
def test_ctrl_c(folder: Path, when: str) -> None:
    with started(folder) as process:
        read_until(process, when.encode())
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, complaint) == (130, b"howdah demo: interrupted; the server was stopped\n")


def test_the_server_dies(folder: Path) -> None:
    with started(folder) as process:
        read_until(process, b"3. Write")
        for pid in processes_naming("postgres"):
            with contextlib.suppress(OSError):
                if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGQUIT)
        _, complaint = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert re.fullmatch(rb"howdah demo: \w+: .+\n", complaint), complaint


def test_nobody_reads_on(folder: Path) -> None:
    with started(folder) as process:
        read_until(process, b"1. A PostgreSQL server")
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT_S) == 1


def test_no_server_programs() -> None:
    done = run("demo", HOWDAH_PG_BIN="/nowhere")
    assert done.returncode == 1
    assert re.fullmatch(
        r"howdah demo: EmbeddedServerError: HOWDAH_PG_BIN is '/nowhere', which does not hold .+\n", done.stderr
    )


# --- The command


def test_version() -> None:
    done = run("--version")
    build = "compiled" if howdah.compiled else "pure Python"
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"howdah {re.escape(howdah.__version__)} \({build}\), \w+ [\d.]+\S*\n", done.stdout)


def test_without_arguments_it_says_what_there_is() -> None:
    done = run()
    assert done.returncode == 0
    assert "demo" in done.stdout and "--version" in done.stdout


def test_a_wrong_command_line() -> None:
    done = run("dmeo")
    assert done.returncode == 2
    assert "invalid choice: 'dmeo'" in done.stderr


def test_importing_the_command_loads_nothing_large() -> None:
    probe = "import sys, howdah.cli; print(*{'argparse', 'asyncio', 'howdah.cli.demo'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", probe], env=environment(), capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert (done.returncode, done.stdout) == (0, "\n")


# --- Tables


def test_table() -> None:
    rows = [(1, "a", None), (-20, "Zo\u00eb\n\x1b[2J", Decimal("1.50"))]
    assert render(("n", "text", "amount"), rows) == [
        "  n  text          amount",
        "---  ------------  ------",
        "  1  a               NULL",
        "-20  Zo\u00eb\\n\\x1b[2J    1.50",
    ]
    assert render(("a", "b"), []) == ["a  b", "-  -"]


def test_table_of_wide_characters_stays_aligned() -> None:
    lines = render(("name", "x"), [("\u8c61", True), ("e\u0301", False)])
    assert lines[2:] == ["\u8c61    True", "e\u0301     False"]


@pytest.mark.parametrize("width", [30, 40, 60, 110])
def test_table_keeps_to_the_width(width: int) -> None:
    lines = render(("a", "b", "c"), [("x" * 70, "y" * 40, 3)], width)
    assert max(map(display_width, lines)) == width
    assert lines[-1].endswith("  3")


def test_shortened() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abc..."
    assert shortened("\u8c61\u8c61\u8c61\u8c61", 6) == "\u8c61..."
