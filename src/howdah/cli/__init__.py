"""The command ``howdah``: ``howdah demo``, ``howdah --version``.

Exit status: 0 when all went well, 1 with one line on standard error when something failed, 2 for a wrong
command line, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # what a shell reports for a program that SIGINT ended


class Failed(Exception):
    """A command cannot do what it is for; the message is what the user reads."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line ``argv`` (that of the process by default); returns the exit status."""
    import argparse

    parser = argparse.ArgumentParser(prog="howdah", description="howdah, a PostgreSQL driver for Python.")
    parser.add_argument("--version", action="store_true", help="say which howdah this is, and which build")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser(
        "demo",
        help="start a private PostgreSQL server and show the driver at work",
        description="Starts a private PostgreSQL server, shows the driver at work on it, and removes it.",
    )
    options = parser.parse_args(argv)
    if options.version:
        print(version_line())
        return 0
    if options.command is None:
        parser.print_help()
        return 0
    return _run_demo()


def version_line() -> str:
    """Which howdah this is, and what it runs on."""
    import platform

    import howdah

    build = "compiled" if howdah.compiled else "pure Python"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"howdah {howdah.__version__} ({build}), {python}"


def _run_demo() -> int:
    from howdah.cli.demo import run
    from howdah.cli.screen import Screen
    from howdah.errors import Error

    try:
        run(Screen())
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _complain("interrupted; the server was stopped", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # the reader (`howdah demo | head`) has gone: what is still buffered must not be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Failed as exc:
        return _complain(str(exc), EXIT_FAILED)
    except (Error, OSError) as exc:
        return _complain(f"{type(exc).__name__}: {exc}", EXIT_FAILED)
    return 0


def _complain(message: str, status: int) -> int:
    from howdah.errors import escape_controls

    lines = message.splitlines() or [""]
    try:
        sys.stdout.flush()
    except OSError:
        pass  # nobody reads it any more
    print(f"howdah demo: {escape_controls(lines[0])}", file=sys.stderr)
    return status
