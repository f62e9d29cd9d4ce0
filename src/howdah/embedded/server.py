"""`Server`: a private PostgreSQL server for tests, demos and development.

A start has these steps, all under one deadline: find the programs and the user to run them as; make the data
folder (initdb, a template's copy, or what is there already); start the server on a free port; log in. A
server is ready when our own driver has logged in through its socket: a TCP connection is accepted too early,
by a server that may still fail.
"""

from __future__ import annotations

import math
import os
import socket
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import Error, OperationalError
from .binaries import (
    Account,
    Binaries,
    EmbeddedServerError,
    blocked_at,
    choose_account,
    find_binaries,
    reachable_binaries,
)
from .running import Running

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 5432
PORT_ATTEMPTS = 5
LOCALES = ("C.UTF-8", "C")  # the second where the system lacks the first
# How clients prove themselves -> how `user` does on the Unix socket, which only the server's user and root
# can enter. Ready means that our driver logs in there, whatever it thinks of weak methods; an MD5 secret can
# not do SCRAM.
AUTH_METHODS = {
    "scram-sha-256": "scram-sha-256",
    "password": "scram-sha-256",
    "md5": "trust",
    "trust": "trust",
}
_LOGIN_PAUSE_S = 0.01
_LOGIN_PAUSE_MAX_S = 0.25
_CANNOT_CONNECT_NOW = "57P03"


class Server:
    """A PostgreSQL server of one's own; a context manager, which starts and stops it.

    data_dir: where the data is kept: made if missing or empty, used again otherwise, never removed. Without
    it the data
        is temporary, not synced to disk, and removed at the end.
    template: a stopped server's data folder; its copy is the (temporary) data, quicker than a new one.
    user, password: the superuser, and its password (random if None; set anew at each start).
    dbname: the database to connect to, made if missing.
    port: the TCP port on 127.0.0.1; 0 means a free one. listen: False for a server reached by its Unix socket
    alone. version: the major version wanted; bin_dir: where its programs are. Without them `find_binaries`
    chooses. settings: server parameters, such as {"work_mem": "8MB", "ssl": True}.
    auth: how clients prove themselves: "scram-sha-256", "md5", "password" or "trust". On the Unix socket,
    which only root
        and the server's user can enter, `user` does it by SCRAM, or without a password for "md5" and "trust".
    hba: lines for pg_hba.conf instead of those that follow from auth; the one for `user` on the socket stays
    first. initdb_options: further arguments of initdb, such as ("--data-checksums",).
    run_as: the operating system user to run as, if we are root; postgres or nobody by default.
    timeout_s: seconds that a start may take.

    When this process ends in any way, kill -9 included, a watchdog process stops the server and removes
    temporary data. `start` raises EmbeddedServerError; `repr` does not show the password.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        template: str | os.PathLike[str] | None = None,
        user: str = "howdah",
        password: str | None = None,
        dbname: str = "postgres",
        port: int = 0,
        listen: bool = True,
        version: str | int | None = None,
        bin_dir: str | os.PathLike[str] | None = None,
        settings: Mapping[str, str | int | float | bool] | None = None,
        auth: str = "scram-sha-256",
        hba: Iterable[str] | None = None,
        initdb_options: Iterable[str] = (),
        run_as: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        if auth not in AUTH_METHODS:
            raise ValueError(f"auth is {auth!r}, must be one of {', '.join(AUTH_METHODS)}; use hba for other methods")
        if data_dir is not None and template is not None:
            raise ValueError("data_dir and template can not both be given: data made from a template is temporary")
        for name, value in (("user", user), ("dbname", dbname), ("password", password or "x")):
            if not value or any(character in value for character in "\0\n\r"):
                raise ValueError(f"{name} must not be empty, nor hold a line break or NUL")
        if any(character in user for character in "\"$'\\"):
            raise ValueError("user must not hold any of \"$'\\, as PostgreSQL makes no extension for such an owner")
        self._data_dir = os.path.abspath(data_dir) if data_dir is not None else None
        self._template = os.path.abspath(template) if template is not None else None
        self.user = user
        self.password = password if password is not None else os.urandom(18).hex()
        self.dbname = dbname
        self._wanted_port = port
        self._listen = listen
        self._wanted_version = version
        self._wanted_bin_dir = bin_dir
        self._settings = dict(settings or {})
        self._auth = auth
        self._hba = list(hba) if hba is not None else None
        self._initdb_options = tuple(initdb_options)
        self._run_as = run_as
        self._timeout_s = timeout_s
        self._binaries: Binaries | None = None
        self._running: Running | None = None
        self._port = 0
        self._last_log_tail = ""

    def __repr__(self) -> str:
        version = self._binaries.version if self._binaries else "not looked for yet"
        state = f"{LOOPBACK if self._listen else self.socket_dir}:{self._port}" if self._running else "stopped"
        return f"<howdah.embedded.Server PostgreSQL {version}, {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # --- What a client needs

    @property
    def running(self) -> bool:
        """True from a successful `start` to `stop`, while the server's process lives."""
        process = self._running.process if self._running is not None else None
        return process is not None and process.poll() is None

    @property
    def host(self) -> str:
        """127.0.0.1, or the socket's folder for a server that does not listen on TCP."""
        return LOOPBACK if self._listen else self.socket_dir

    @property
    def port(self) -> int:
        """The TCP port; it is also part of the socket's name."""
        self._started()
        return self._port

    @property
    def socket_dir(self) -> str:
        """The folder of the Unix socket."""
        return self._started().folder

    @property
    def params(self) -> dict[str, Any]:
        """Keyword arguments for `connect`, the password among them."""
        self._started()
        return {"host": self.host, **self._identity()}

    @property
    def dsn(self) -> str:
        """A connection URI with the password: over TCP, or over the socket when the server does not
        listen."""
        if not self._listen:
            return self.socket_dsn
        return f"postgresql://{self._credentials()}@{LOOPBACK}:{self.port}/{quote(self.dbname, safe='')}"

    @property
    def socket_dsn(self) -> str:
        """A connection URI with the password, over the Unix socket."""
        host = quote(self.socket_dir, safe="")
        return f"postgresql://{self._credentials()}@/{quote(self.dbname, safe='')}?host={host}&port={self.port}"

    @property
    def pid(self) -> int:
        """The process id of the server's first process (the postmaster)."""
        process = self._started().process
        assert process is not None
        return process.pid

    @property
    def version(self) -> str:
        """The server's version, such as "18.6"; known before the start too."""
        return self._find_binaries().version

    @property
    def bin_dir(self) -> str:
        """The folder of the programs that are run: psql and pg_basebackup of the same version are often there
        too."""
        return self._find_binaries().bin_dir

    @property
    def data_dir(self) -> str:
        """The server's data folder."""
        return self._data_dir or os.path.join(self._started().folder, "data")

    def log_tail(self) -> str:
        """The end of the server's log, at most 16 KiB; of the last run when stopped."""
        return self._running.log_tail() if self._running is not None else self._last_log_tail

    # --- Start and stop

    def start(self) -> None:
        """Start the server and wait until it can be used; at most `timeout_s` seconds.

        Raises EmbeddedServerError, with the end of the server's log, when that fails; nothing is left then.
        """
        if self._running is not None:
            raise EmbeddedServerError("this embedded server is started already: stop it first, or make another Server")
        deadline = time.monotonic() + self._timeout_s
        account = choose_account(self._run_as, self._data_dir or self._template)
        self._binaries = reachable_binaries(self._find_binaries(), account)
        running = Running(account)
        try:
            arguments = self._prepare(running, deadline)
            self._launch(running, arguments, deadline)
            running.check_watchdog()
        except BaseException:
            running.stop()
            raise
        self._running = running
        self._finalizer = weakref.finalize(self, running.abandon)

    def stop(self) -> None:
        """Stop the server (fast shutdown) and remove temporary data; does nothing when it is stopped."""
        running = self._running
        if running is None:
            return
        self._running = None
        self._finalizer.detach()
        try:
            running.stop()
        finally:
            self._last_log_tail = running.log_tail()

    def _started(self) -> Running:
        if self._running is None:
            raise EmbeddedServerError(
                "this embedded server is not started: call start(), or use `with Server() as server`"
            )
        return self._running

    def _identity(self) -> dict[str, Any]:
        return {"port": self._port, "user": self.user, "password": self.password, "dbname": self.dbname}

    def _credentials(self) -> str:
        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"

    # --- Steps of a start

    def _find_binaries(self) -> Binaries:
        if self._binaries is None:
            source = self._data_dir or self._template
            made_by = _data_version(source) if source is not None else None
            version = self._wanted_version if self._wanted_version is not None else made_by
            found = find_binaries(version, self._wanted_bin_dir)
            if made_by is not None and made_by != found.major:
                raise EmbeddedServerError(
                    f"the data in {source!r} was made by PostgreSQL {made_by}, not {found.major}: ask for "
                    f"version={made_by}, or name another folder"
                )
            self._binaries = found
        return self._binaries

    def _prepare(self, running: Running, deadline: float) -> list[str]:
        """Make or take the data folder; the server's command line, all but the port."""
        binaries = self._find_binaries()
        hba_file = running.write_file("hba.conf", self._hba_text())
        password_file = running.write_file("password", self.password + "\n")
        data_dir = self._data_dir or os.path.join(running.folder, "data")
        new = self._template is None and _data_version(data_dir) is None
        if self._data_dir is not None:
            _make_data_dir(self._data_dir, running.account, new)
        running.hand_over()
        if self._template is not None:
            if (obstacle := blocked_at(self._template, running.account)) is not None:
                raise _closed_folder(obstacle, running.account)
            self._must(running, ["cp", "-R", self._template, data_dir], deadline=deadline)
        elif new:
            running.remove_at_end(data_dir)  # a half-made folder would be taken for data at the next start
            self._initdb(running, data_dir, password_file, deadline)
            running.keep(data_dir)
        os.unlink(password_file)
        defaults: dict[str, str | int | float | bool] = {
            "listen_addresses": LOOPBACK if self._listen else "",
            "unix_socket_directories": running.folder,
            "hba_file": hba_file,
        }
        if self._data_dir is None:
            defaults |= {"fsync": False, "full_page_writes": False, "synchronous_commit": False}
        if self._auth == "md5":
            defaults["password_encryption"] = "md5"
        arguments = [binaries.program("postgres"), "-D", data_dir]
        for name, value in (defaults | self._settings).items():
            text = ("on" if value else "off") if isinstance(value, bool) else str(value)
            arguments += ["-c", f"{name}={text}"]
        statements = []
        if not new:
            statements.append(f"ALTER ROLE {_identifier(self.user)} LOGIN PASSWORD {_literal(self.password)}")
        if self.dbname not in ("postgres", "template1"):
            statements.append(f"CREATE DATABASE {_identifier(self.dbname)}")
        if statements:
            self._run_single_user(running, arguments, statements, deadline)
        return arguments

    def _hba_text(self) -> str:
        ourselves = f'local all "{self.user}" {AUTH_METHODS[self._auth]}'
        everybody = [
            f"local all all {self._auth}",
            f"host all all {LOOPBACK}/32 {self._auth}",
            f"local replication all {self._auth}",
            f"host replication all {LOOPBACK}/32 {self._auth}",
        ]
        return "\n".join([ourselves, *(everybody if self._hba is None else self._hba)]) + "\n"

    def _initdb(self, running: Running, data_dir: str, password_file: str, deadline: float) -> None:
        program = self._find_binaries().program("initdb")
        command = [
            program,
            "-D",
            data_dir,
            "-U",
            self.user,
            f"--auth={self._auth}",
            f"--pwfile={password_file}",
        ]
        command += ["-E", "UTF8", *([] if self._data_dir else ["--no-sync"]), *self._initdb_options]
        for locale in LOCALES:
            status, output = running.run([*command, f"--locale={locale}"], deadline=deadline)
            if status == 0 or "invalid locale" not in output:
                break
        if status != 0:
            raise EmbeddedServerError("initdb failed", log_tail=output)

    def _must(self, running: Running, argv: list[str], *, deadline: float) -> None:
        status, output = running.run(argv, deadline=deadline)
        if status != 0:
            raise EmbeddedServerError(f"{os.path.basename(argv[0])} failed", log_tail=output)

    def _run_single_user(self, running: Running, arguments: list[str], statements: list[str], deadline: float) -> None:
        """Run SQL before the server starts, as nobody can log in yet; the log never shows the statements."""
        program, *options = arguments
        quiet = [
            "-c",
            "log_min_error_statement=panic",
            "-c",
            "log_statement=none",
            "-c",
            "client_encoding=UTF8",
        ]
        command = [program, "--single", *options, *quiet, "postgres"]
        status, output = running.run(command, ("\n".join(statements) + "\n").encode(), deadline=deadline)
        if "lock file" in output and "already exists" in output:
            raise EmbeddedServerError(f"{self._data_dir!r} is in use by another server: stop that one", log_tail=output)
        errors = [line for line in output.splitlines() if "ERROR:" in line and "already exists" not in line]
        if any(f'role "{self.user}" does not exist' in line for line in errors):
            raise EmbeddedServerError(f"the kept data has no user {self.user!r}: give the user it was made with")
        if status != 0 or errors:
            raise EmbeddedServerError("the kept data could not be prepared for a start", log_tail=output)

    def _launch(self, running: Running, arguments: list[str], deadline: float) -> None:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._port = self._wanted_port or (_free_port() if self._listen else DEFAULT_PORT)
            mark = running.log_size()
            running.launch([*arguments, "-p", str(self._port)], self._data_dir or os.path.join(running.folder, "data"))
            if self._wait_ready(running, deadline):
                return
            log_tail = running.log_tail(mark)
            running.end_process()
            if "could not bind" not in log_tail:
                raise EmbeddedServerError("the server ended while it started", log_tail=log_tail)
            if self._wanted_port:
                raise EmbeddedServerError(
                    f"port {self._port} on {LOOPBACK} is in use: leave port out for a free one",
                    log_tail=log_tail,
                )
            if attempt == PORT_ATTEMPTS:
                raise EmbeddedServerError(f"no free port found in {attempt} attempts", log_tail=log_tail)

    def _wait_ready(self, running: Running, deadline: float) -> bool:
        """True when a login succeeded, False when the server's process has ended."""
        params = {"host": running.folder, **self._identity()}
        socket_file = os.path.join(running.folder, f".s.PGSQL.{self._port}")
        process = running.process
        assert process is not None
        not_yet: Error | None = None
        pause_s = _LOGIN_PAUSE_S
        while True:
            if process.poll() is not None:
                return False
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise EmbeddedServerError(
                    f"the server was not ready after {self._timeout_s:g} s: give a larger timeout_s",
                    log_tail=running.log_tail(),
                ) from not_yet
            if os.path.exists(socket_file):
                try:
                    _login(params, remaining)
                except Error as error:
                    # Without an SQLSTATE the server did not answer. Other refusals, such as a wrong password,
                    # and what the driver itself refuses, are final.
                    unanswered = isinstance(error, OperationalError) and error.sqlstate is None
                    if not unanswered and error.sqlstate != _CANNOT_CONNECT_NOW:
                        message = f"the server runs but refused our login: {error}"
                        raise EmbeddedServerError(message, log_tail=running.log_tail()) from error
                    not_yet = error
                    pause_s = min(pause_s * 2, _LOGIN_PAUSE_MAX_S)  # each try writes to the server's log
                else:
                    return True
            time.sleep(pause_s)


def _login(params: Mapping[str, Any], timeout_s: float) -> None:
    """Connect with our own driver and leave again; raises howdah.Error."""
    import howdah

    howdah.connect(**params, connect_timeout=max(1, math.ceil(timeout_s))).close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _data_version(data_dir: str) -> str | None:
    """The major version that made the data in a folder; None where there is none."""
    try:
        with open(os.path.join(data_dir, "PG_VERSION"), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EmbeddedServerError(f"the data in {data_dir!r} can not be read: {error}") from error


def _make_data_dir(data_dir: str, account: Account | None, new: bool) -> None:
    """Make a kept data folder if it is missing; an empty one is given to the server's user."""
    try:
        if new:
            os.makedirs(data_dir, exist_ok=True)
            if os.listdir(data_dir):
                raise EmbeddedServerError(
                    f"{data_dir!r} holds files but no PostgreSQL data: name an empty or new folder"
                )
            os.chmod(data_dir, 0o700)
            if account is not None:
                os.chown(data_dir, account.uid, account.gid)
    except OSError as error:
        raise EmbeddedServerError(f"the data folder {data_dir!r} can not be made: {error}") from error
    if (obstacle := blocked_at(data_dir, account)) is not None:
        raise _closed_folder(obstacle, account)


def _closed_folder(folder: str, account: Account | None) -> EmbeddedServerError:
    name = account.name if account else ""
    return EmbeddedServerError(
        f"the user {name!r}, who runs the server, can not enter {folder!r}: choose a folder elsewhere, or "
        f"open this one (chmod o+x {folder})"
    )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    # E'' where a backslash occurs, whatever standard_conforming_strings says.
    quoted = text.replace("'", "''")
    return f"E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"
