"""Runs the targets: a child process a target, so that a crash or a hang is a finding and not the end.

    python fuzz/run.py                      every target, 1,000,000 inputs each, on the build that is imported
    python fuzz/run.py --sanitize           on a copy compiled with AddressSanitizer and UBSan under .cache/fuzz
    python fuzz/run.py --count 20000 --only 'types.*' --seed 7
    python fuzz/run.py --replay .cache/fuzz/found/rows-1a2b3c4d.bin

An input is known by the seed, the target's name and its number: the chance is seeded anew every BLOCK inputs, so any of
them can be made again without making all before it. A failing input is written to .cache/fuzz/found with what happened
beside it; put it into fuzz/corpus/<target>/ when it is mended, and it is a seed and a test for ever.

A failure is: an exception that the target does not allow, a wrong answer, a crash, a sanitizer's report, five seconds of
CPU on one input, or memory beyond LIMIT_MB.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import importlib.util
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "fuzz"
FOUND = CACHE / "found"
TREE = CACHE / "tree"  # the sanitized copy
COUNT = 1_000_000
BLOCK = 1000
HANG_CPU_S = 5.0
HANG_WALL_S = 60.0
LIMIT_MB = 1500
MAX_KINDS = 8  # different failures of one target before it is left


def inputs_of(target, seed: int, block: int):
    """The inputs of one block, in order; block 0 begins with the seeds themselves."""
    if block == 0:
        yield from target.seeds[:BLOCK]
        made = len(target.seeds[:BLOCK])
    else:
        made = 0
    rng = Random(f"{seed}/{target.name}/{block}")
    for _ in range(BLOCK - made):
        yield target.make(rng)


def input_number(target, seed: int, number: int) -> bytes:
    for index, data in enumerate(inputs_of(target, seed, number // BLOCK)):
        if index == number % BLOCK:
            return data
    raise ValueError(number)


def save(target, data: bytes, report: str) -> Path:
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{target.name}-{hashlib.sha256(data).hexdigest()[:8]}.bin"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(report, encoding="utf-8", errors="backslashreplace")
    return path


def kind_of(exc: BaseException) -> str:
    """Failures with the same words at the same place are one."""
    frames = traceback.extract_tb(exc.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(exc).__name__} {place} {str(exc)[:40] if type(exc).__name__ == 'Finding' else ''}"


def child(target, seed: int, start: int, count: int, shared: mmap.mmap, report_fd: int) -> None:
    """Runs inputs ``start`` to ``count``; never returns. ``shared`` tells the parent how far it is."""
    os.dup2(report_fd, 2)
    kinds: set[str] = set()
    number = start - start % BLOCK
    run = target.run
    pack_into = struct.pack_into
    while number < count:
        for data in inputs_of(target, seed, number // BLOCK):
            if number >= start:
                pack_into("=q", shared, 0, number)
                try:
                    run(data)
                except BaseException as exc:
                    failed = struct.unpack_from("=q", shared, 8)[0] + 1
                    pack_into("=q", shared, 8, failed)
                    kind = kind_of(exc)
                    if kind not in kinds and not isinstance(exc, KeyboardInterrupt):
                        kinds.add(kind)
                        path = save(target, data, f"input {number} of seed {seed}\n{data!r}\n{traceback.format_exc()}")
                        print(f"\n  {target.name}: {type(exc).__name__}: {str(exc)[:200]}\n    {path}", flush=True)
                    if len(kinds) >= MAX_KINDS or isinstance(exc, KeyboardInterrupt):
                        os._exit(3)
            number += 1
            if number == count:
                break
    pack_into("=q", shared, 0, count)
    os._exit(0)


def cpu_and_memory(pid: int) -> tuple[float, int]:
    """Seconds of CPU and MiB of memory that a process has used; zeros where /proc does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0, 0
    ticks = int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * mmap.PAGESIZE >> 20


def watch(pid: int, shared: mmap.mmap, show) -> str:
    """Waits for a child; returns why it ended: "" for well, else in words."""
    seen, cpu_mark, wall_mark = -1, 0.0, time.monotonic()
    pause = 0.02
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
            code = os.WEXITSTATUS(status)
            return {0: "", 3: "too many failures"}.get(code, f"the process ended with {code}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
        number = struct.unpack_from("=q", shared, 0)[0]
        cpu, memory = cpu_and_memory(pid)
        if number != seen:
            seen, cpu_mark, wall_mark = number, cpu, time.monotonic()
        show(number)
        reason = ""
        if cpu - cpu_mark > HANG_CPU_S or time.monotonic() - wall_mark > HANG_WALL_S:
            reason = f"no end after {HANG_CPU_S:g} s on one input"
        elif memory > LIMIT_MB:
            reason = f"{memory} MiB of memory"
        if reason:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return reason


def fuzz(target, seed: int, count: int) -> int:
    """Runs one target to its end; returns how many inputs failed."""
    shared = mmap.mmap(-1, 16)
    begun = time.monotonic()
    start = crashes = 0
    on_terminal = sys.stdout.isatty()

    def show(number: int) -> None:
        if on_terminal:
            rate = number / max(time.monotonic() - begun, 0.001)
            print(f"\r  {target.name:28} {number:>9,} of {count:,}  {rate:>8,.0f}/s", end="", flush=True)

    while start < count:
        report = CACHE / f"stderr-{target.name}.txt"
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.open("w+b") as errors:
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                try:
                    child(target, seed, start, count, shared, errors.fileno())
                finally:
                    os._exit(70)
            why = watch(pid, shared, show)
            errors.seek(0)
            words = errors.read().decode("utf-8", "replace")
        report.unlink()
        if not why or why == "too many failures":
            break
        number = struct.unpack_from("=q", shared, 0)[0]
        path = save(target, input_number(target, seed, number), f"input {number} of seed {seed}: {why}\n{words}")
        print(f"\n  {target.name}: {why}\n    {path}", flush=True)
        crashes += 1
        start = number + 1
        if crashes == MAX_KINDS:
            break
    done, failed = struct.unpack_from("=qq", shared, 0)
    took = time.monotonic() - begun
    end = "\r" if on_terminal else ""
    print(
        f"{end}  {target.name:28} {done:>9,} inputs  {done / max(took, 0.001):>8,.0f}/s  {failed + crashes} failed",
        flush=True,
    )
    return failed + crashes


def sanitized_environment() -> dict[str, str]:
    """Compiles a copy of the package with the sanitizers, and returns the environment to run it in."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        TREE.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, TREE / name)
    source, copy = ROOT / "src" / "howdah", TREE / "src" / "howdah"
    wanted = {path.relative_to(source) for pattern in ("*.py", "*.pxd", "*.pyi") for path in source.rglob(pattern)}
    for path in copy.rglob("*"):
        if path.suffix in (".py", ".pxd", ".pyi") and path.relative_to(copy) not in wanted:
            path.unlink()
    for path in wanted:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, copy / path)
    build = {**os.environ, "HOWDAH_BUILD": "require", "HOWDAH_SANITIZE": "1", "HOWDAH_PURE": ""}
    subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=TREE, env=build, check=True)
    library = subprocess.run(
        [os.environ.get("CC") or "gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return {
        **os.environ,
        "HOWDAH_PURE": "",
        "HOWDAH_FUZZ_TREE": str(TREE),
        "LD_PRELOAD": os.path.realpath(library),
        "PYTHONMALLOC": "malloc",
        # a length that lies must not be allocated; leaks are Python's own, which frees nothing at exit
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=64:"
        f"max_allocation_size_mb={LIMIT_MB}:{os.environ.get('ASAN_OPTIONS', '')}",
        "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:{os.environ.get('UBSAN_OPTIONS', '')}",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--count", type=int, default=int(os.environ.get("HOWDAH_FUZZ_COUNT") or COUNT), help="inputs a target"
    )
    parser.add_argument("--seed", type=int, default=None, help="a number; a new one each day when not given")
    parser.add_argument("--only", action="append", default=[], help="a pattern of target names; may be repeated")
    parser.add_argument("--list", action="store_true", help="show the targets")
    parser.add_argument("--replay", type=Path, help="run one saved input, its exception shown")
    parser.add_argument("--sanitize", action="store_true", help="compile and use the sanitized copy")
    options = parser.parse_args()
    if options.sanitize:
        arguments = [word for word in sys.argv[1:] if word != "--sanitize"]
        os.execve(sys.executable, [sys.executable, __file__, *arguments], sanitized_environment())
    tree = os.environ.get("HOWDAH_FUZZ_TREE")
    sys.path[:0] = [str(Path(tree or ROOT) / "src"), str(ROOT)]
    import howdah
    from fuzz.targets import all_targets, known_random

    found = importlib.util.find_spec("howdah")
    build = "compiled" if howdah.compiled else "pure"
    print(f"howdah {build}{' and sanitized' if tree else ''}, from {Path(found.origin).parent}")
    targets = all_targets()
    os.urandom = known_random
    if options.replay:
        name = options.replay.stem.rpartition("-")[0] or options.replay.parent.name
        chosen = [one for one in targets if one.name in (name, options.replay.parent.name)]
        if not chosen:
            raise SystemExit(f"no target is called {name!r}")
        chosen[0].run(options.replay.read_bytes())
        print(f"{chosen[0].name}: the input is read or refused as it should be")
        return 0
    if options.only:
        targets = [one for one in targets if any(fnmatch.fnmatch(one.name, pattern) for pattern in options.only)]
    if options.list:
        print("\n".join(f"  {one.name:28} {len(one.seeds)} seeds" for one in targets))
        return 0
    seed = options.seed if options.seed is not None else int(time.time()) // 86400
    print(f"{len(targets)} targets, {options.count:,} inputs each, seed {seed}", flush=True)
    begun = time.monotonic()
    failed = {}
    for one in targets:
        count = fuzz(one, seed, options.count)
        if count:
            failed[one.name] = count
    print(f"{len(targets)} targets in {time.monotonic() - begun:,.0f} s, seed {seed}: ", end="")
    print("nothing was found" if not failed else "failures in " + ", ".join(failed) + f"; see {FOUND}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
