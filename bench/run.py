"""Measure howdah beside psycopg 3, psycopg2 and asyncpg against one real server: ``python bench/run.py``.

Each driver lives in its own child process, so that event loops, imports and garbage never mix, and a
child does nothing between the two clock reads but the queries. Rounds are interleaved (A B C D, then D C B A,
...): a machine that drifts slows all drivers alike, and the median of the rounds is compared. README.md tells
how to read the tables.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import pickle
import platform
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from cases import CASES, CASES_BY_NAME, SETUP, TEARDOWN, Case
from peers import DRIVERS, PEERS, Params
from report import Run, Samples, render

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(os.path.dirname(HERE), "src")
DEFAULT_DRIVERS = (*PEERS, "howdah", "howdah-async", "floor")
REPLY_TIMEOUT_S = 120
EXIT_TIMEOUT_S = 5
WARM_UP_S = 0.1


class BenchError(Exception):
    """The run cannot go on; the text says what to do."""


class Child:
    """One driver in its own process, asked through a pipe."""

    def __init__(self, driver: str, params: Params) -> None:
        self.driver = driver
        environment = dict(os.environ)
        environment.pop("HOWDAH_PURE", None)
        if driver == "howdah-pure":
            environment["HOWDAH_PURE"] = "1"
        if SOURCE in sys.path:
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCE, environment.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "peers.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        try:
            self.versions: str = self.ask("open", (driver, params))
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, argument: object) -> Any:
        """Send one request and wait for its reply."""
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None and replies is not None
        try:
            requests.write(pickle.dumps((method, argument)))
            requests.flush()
            if not select.select([replies], [], [], REPLY_TIMEOUT_S)[0]:
                raise BenchError(f"{self.driver}: no answer to {method!r} within {REPLY_TIMEOUT_S} s")
            succeeded, result = pickle.load(replies)
        except (EOFError, BrokenPipeError) as error:
            raise BenchError(f"{self.driver}: the child process died during {method!r}") from error
        if not succeeded:
            raise BenchError(f"{self.driver}: {result}")
        return result

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]


class Progress:
    """One line on standard error, rewritten; silent when that is not a terminal."""

    def __init__(self) -> None:
        self._is_on = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._is_on:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()


def verify(children: list[Child], case: Case) -> int:
    """Prove that all drivers return equal rows, type for type; return how many."""
    reference: list[tuple[Any, ...]] | None = None
    reference_name = ""
    counts: dict[str, int] = {}
    for child in children:
        answer = child.ask("answer", case.name)
        if isinstance(answer, int):
            counts[child.driver] = answer
            continue
        counts[child.driver] = len(answer)
        if reference is None:
            reference, reference_name = answer, child.driver
        elif difference := first_difference(reference, answer):
            raise BenchError(f"{case.name}: {reference_name} and {child.driver} differ: {difference}")
    rows: int = counts[children[0].driver]
    if set(counts.values()) != {case.rows or rows} or rows == 0:
        raise BenchError(f"{case.name}: {case.rows or 'equally many'} rows expected, got {counts}")
    return rows


def first_difference(ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> str | None:
    """Where two answers differ, in value or in type; None when they are equal."""
    if len(ours) != len(theirs):
        return f"{len(ours)} and {len(theirs)} rows"
    for number, (left, right) in enumerate(zip(ours, theirs)):
        if len(left) != len(right):
            return f"row {number}: {len(left)} and {len(right)} columns"
        for column, (a, b) in enumerate(zip(left, right)):
            if not same(a, b):
                return f"row {number}, column {column}: {a!r} and {b!r}"
    return None


def same(a: Any, b: Any) -> bool:
    """Equal in value and in type, also inside lists and JSON documents (1, 1.0 and True are three things)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    return bool(a == b)


def calibrate(child: Child, case: Case, batch_s: float) -> int:
    """Warm a case up; return how many queries fill a batch of ``batch_s`` seconds."""
    child.ask("select", case.name)
    queries, spent_s = 8, 0.0
    while True:
        wall_s: float = child.ask("batch", queries)[1]
        spent_s += wall_s
        if spent_s >= WARM_UP_S:
            return max(1, round(queries * batch_s / wall_s))
        queries = max(1, min(queries * 4, round(queries * WARM_UP_S / 2 / wall_s)))


def measure(children: list[Child], cases: Sequence[Case], rounds: int, batch_s: float) -> dict[str, dict[str, Samples]]:
    """Verify, warm up, then run the interleaved rounds."""
    progress = Progress()
    samples: dict[str, dict[str, Samples]] = {}
    for case in cases:
        progress.show(f"{case.name}: comparing rows, warming up")
        rows = verify(children, case)
        samples[case.name] = {child.driver: Samples(calibrate(child, case, batch_s), rows) for child in children}
    for number in range(rounds):
        for case in cases:
            for child in children if number % 2 == 0 else reversed(children):
                progress.show(f"round {number + 1}/{rounds}  {case.name}  {child.driver}")
                one = samples[case.name][child.driver]
                child.ask("select", case.name)
                one.add(*child.ask("batch", one.queries))
    progress.show("")
    return samples


@contextlib.contextmanager
def server(dsn: str | None) -> Iterator[Params]:
    """The connection parameters of the server named by ``dsn``, or of one started for this run."""
    if dsn is not None:
        yield params_of(dsn)
        return
    try:
        from howdah.embedded import Server
    except ImportError as error:
        raise BenchError(f"no server to start ({error}): give one with --dsn postgresql://user@host/db") from error
    own, rest = cores()
    place(rest)
    with Server() as embedded:
        place(own)  # what is started from here on: the drivers' processes
        yield params_of(embedded.dsn)


def cores() -> tuple[set[int], set[int]]:
    """Which processors the drivers run on, and which the server: its own, as another machine would be.

    Where the two share processors, a query's CPU time is doubled or not by where the scheduler happens to wake whom.
    """
    found = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (set(found[:1]), set(found[1:])) if len(found) > 1 else (set(), set())


def place(processors: set[int]) -> None:
    """Runs this process, and what it starts from now on, on these; the empty set changes nothing."""
    if processors:
        os.sched_setaffinity(0, processors)


def params_of(dsn: str) -> Params:
    """Split a postgresql:// URL; TCP only, so that every driver and the floor take the same road."""
    url = urlsplit(dsn)
    if url.scheme not in ("postgresql", "postgres") or not url.hostname:
        raise BenchError("--dsn must look like postgresql://user:password@host:port/database, with a TCP host")
    return {
        "host": url.hostname,
        "port": url.port or 5432,
        "user": unquote(url.username or "postgres"),
        "password": unquote(url.password or "") or None,
        "dbname": unquote(url.path.lstrip("/")) or "postgres",
    }


@contextlib.contextmanager
def tables(params: Params) -> Iterator[str]:
    """Create the tables, yield the server's version and settings that matter, drop the tables."""
    try:
        import psycopg

        connection = psycopg.connect(**params, sslmode="disable", connect_timeout=10, autocommit=True)
    except ImportError as error:
        raise BenchError(f"{error}: pip install 'psycopg[binary]' psycopg2-binary asyncpg uvloop") from error
    except psycopg.Error as error:
        raise BenchError(f"the server cannot be used: {error}") from error
    with connection:
        connection.execute(SETUP)
        try:
            settings = "server_version", "TimeZone", "jit", "shared_buffers"
            values = [connection.execute(f"SHOW {name}").fetchone()[0] for name in settings]  # type: ignore[index]
            yield ", ".join([f"PostgreSQL {values[0]}", *map("=".join, zip(settings[1:], values[1:]))])
        finally:
            connection.execute(TEARDOWN)


def machine() -> str:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    load = f", load {os.getloadavg()[0]:.2f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}{load}"


def chosen(text: str | None, known: Sequence[str], default: Sequence[str]) -> list[str]:
    """A comma-separated option, checked against what there is."""
    names = list(default) if text is None else [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise BenchError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    if not names:
        raise BenchError(f"name at least one of {', '.join(known)}")
    return list(dict.fromkeys(names))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure howdah beside its peers; tables on standard output.")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (15; targets are judged from 15)")
    parser.add_argument("--batch-s", type=float, default=0.15, help="seconds of one batch (0.15)")
    parser.add_argument("--cases", help=f"comma-separated; all of {','.join(CASES_BY_NAME)}")
    parser.add_argument("--drivers", help=f"comma-separated; of {','.join(DRIVERS)} ({','.join(DEFAULT_DRIVERS)})")
    parser.add_argument("--dsn", help="postgresql:// URL of a running server; without it, one is started")
    parser.add_argument("--json", metavar="FILE", help="write every sample, and the verdicts, to FILE")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.batch_s <= 0:
        parser.error("--rounds and --batch-s must be positive")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    if importlib.util.find_spec("howdah") is None:
        sys.path.insert(0, SOURCE)
    cases = [CASES_BY_NAME[name] for name in chosen(arguments.cases, list(CASES_BY_NAME), [c.name for c in CASES])]
    drivers = chosen(arguments.drivers, list(DRIVERS), DEFAULT_DRIVERS)
    facts = {
        "machine": machine(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    with contextlib.ExitStack() as stack:
        apart = arguments.dsn is None and bool(cores()[0])
        params = stack.enter_context(server(arguments.dsn))
        if apart:
            facts["machine"] += "; the drivers run on one CPU, the server on the others"
        facts["server"] = stack.enter_context(tables(params)) + ", TCP without TLS"
        children = []
        for driver in drivers:
            child = Child(driver, params)
            stack.callback(child.close)
            children.append(child)
            facts[driver] = child.versions
        samples = measure(children, cases, arguments.rounds, arguments.batch_s)
    run = Run(facts, arguments.rounds, samples)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(run.as_json(), file, indent=1)
    print(render(run, arguments.markdown))


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
