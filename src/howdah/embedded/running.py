"""What a started server holds: its process, its watchdog, its log, its folders; `stop` gives all of it
back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

from .binaries import Account, EmbeddedServerError, temporary_base
from .watchdog import remove_folder, stop_process

_LOG_TAIL_BYTES = 16384
_WATCHDOG_EXIT_TIMEOUT_S = 5.0

# A socket's path may have 107 bytes (103 on macOS); 100 with our folder's name and ".s.PGSQL.65535".
_SOCKET_NAME_BYTES = len("/howdah-xxxxxxxx/.s.PGSQL.65535")
_TEMPORARY_BASE_MAX_BYTES = 100 - _SOCKET_NAME_BYTES

# What a server needs of our environment; the rest, secrets among it, stays with us.
_ENVIRONMENT_KEPT = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "ICU_DATA")


class Running:
    """The processes, descriptors and folders of one server, from before initdb to the end.

    The folder `folder` (mode 0700, the server's user's) holds the socket, the log, hba.conf and temporary
    data. As root nothing is opened by name in it once it belongs to the server's user, who could have put a
    link there.
    """

    def __init__(self, account: Account | None) -> None:
        self.account = account
        self.process: subprocess.Popen[bytes] | None = None
        self._owner_pid = os.getpid()
        self._base = temporary_base(account, _TEMPORARY_BASE_MAX_BYTES)
        self.folder = os.path.join(self._base, f"howdah-{os.urandom(4).hex()}")
        self._to_remove: list[str] = []
        self._log_fd = -1
        self._last_log_tail = ""
        self._watchdog_pipe = -1
        self._watchdog = self._start_watchdog()
        try:
            self.remove_at_end(self.folder)
            os.mkdir(self.folder, 0o700)
            log = os.path.join(self.folder, "log")
            self._log_fd = os.open(log, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except BaseException:
            self.stop()
            raise

    # --- Files

    def remove_at_end(self, folder: str) -> None:
        """Have a folder deleted at the end, whoever brings it about; called before the folder is filled."""
        self._to_remove.append(folder)
        self.tell_watchdog("remove", folder)

    def keep(self, folder: str) -> None:
        """Take back `remove_at_end`."""
        self._to_remove.remove(folder)
        self.tell_watchdog("keep", folder)

    def write_file(self, name: str, text: str) -> str:
        """Make a file (mode 0600) that the server's user can read; before `hand_over`, and only then."""
        path = os.path.join(self.folder, name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            self._give_away(fd)
        return path

    def hand_over(self) -> None:
        """Give the folder to the user that runs the server."""
        self._give_away(self.folder)

    def _give_away(self, what: int | str) -> None:
        if self.account is not None:
            os.chown(what, self.account.uid, self.account.gid)

    def log_size(self) -> int:
        """The length of the log in bytes: a mark for `log_tail`."""
        return os.fstat(self._log_fd).st_size

    def log_tail(self, since: int = 0) -> str:
        """The end of the log (at most 16 KiB), but nothing before the byte `since`; also after `stop`."""
        if self._log_fd < 0:
            return self._last_log_tail
        size = self.log_size()
        start = max(since, size - _LOG_TAIL_BYTES)
        return os.pread(self._log_fd, size - start, start).decode("utf-8", "replace").strip()

    # --- Processes

    def tell_watchdog(self, verb: str, what: str | int) -> None:
        try:
            os.write(self._watchdog_pipe, os.fsencode(f"{verb} {what}\n"))
        except OSError as error:
            raise _no_watchdog(error) from error

    def check_watchdog(self) -> None:
        """Raise EmbeddedServerError if nobody would clean up after us."""
        if self._watchdog.poll() is not None:
            raise _no_watchdog(f"exit status {self._watchdog.returncode}")

    def run(self, argv: Sequence[str], stdin: bytes = b"", *, deadline: float) -> tuple[int, str]:
        """Run a program to its end as the server's user; its exit status and output. Bounded by `deadline`
        (monotonic)."""
        process = self._popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            self.tell_watchdog("stop", process.pid)
            output, _ = process.communicate(stdin, timeout=max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired as error:
            self._end(process)
            raise EmbeddedServerError(
                f"{os.path.basename(argv[0])} did not finish in time: give a larger timeout_s",
                log_tail=self.log_tail(),
            ) from error
        except BaseException:
            self._end(process)
            raise
        os.write(self._log_fd, output)
        return process.returncode, output.decode("utf-8", "replace").strip()

    def launch(self, argv: Sequence[str], data_dir: str) -> None:
        """Start the server; its output goes to the log."""
        self.tell_watchdog("data", data_dir)
        self.process = self._popen(argv, stdin=subprocess.DEVNULL, stdout=self._log_fd, stderr=self._log_fd)
        self.tell_watchdog("stop", self.process.pid)

    def _popen(self, argv: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in _ENVIRONMENT_KEPT if name in os.environ}
        environment |= {"LC_ALL": "C", "HOME": self.folder}
        user: dict[str, Any] = {}
        if self.account is not None:
            user = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        try:
            # An own session keeps the terminal's Ctrl-C away.
            return subprocess.Popen(
                argv, cwd=self.folder, env=environment, umask=0o077, start_new_session=True, **user, **streams
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedServerError(f"{argv[0]} can not be started: {error}") from error

    def _start_watchdog(self) -> subprocess.Popen[bytes]:
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "watchdog.py")
        reading, self._watchdog_pipe = os.pipe()
        try:
            return subprocess.Popen(
                [sys.executable or "python3", "-I", "-S", script, str(self._owner_pid)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._watchdog_pipe)
            raise _no_watchdog(error) from error
        finally:
            os.close(reading)

    def end_process(self) -> None:
        """Stop the server, if it runs; the folders stay."""
        if self.process is not None:
            self._end(self.process)
            self.process = None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        def wait_gone(timeout_s: float) -> bool:
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return False
            return True

        stop_process(process.send_signal, wait_gone)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:  # unsent input of a program that has ended
                    pass

    # --- The end

    def stop(self) -> None:
        """Stop the server, remove what is temporary, end the watchdog. In a forked child only close its
        copies."""
        try:
            if os.getpid() == self._owner_pid:
                self.end_process()
                if self._log_fd >= 0:
                    self._last_log_tail = self.log_tail()
                for folder in self._to_remove:
                    remove_folder(folder)
                try:
                    self.tell_watchdog("done", "")
                except EmbeddedServerError:
                    pass  # it was killed; there is nothing left for it to do
        finally:
            # When an exception stopped us half-way, the watchdog sees the pipe close without "done" and does
            # the rest.
            for fd in (self._watchdog_pipe, self._log_fd):
                if fd >= 0:
                    os.close(fd)
            self._watchdog_pipe = self._log_fd = -1
        if os.getpid() == self._owner_pid:
            try:
                self._watchdog.wait(_WATCHDOG_EXIT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._watchdog.kill()
                self._watchdog.wait(_WATCHDOG_EXIT_TIMEOUT_S)
        else:
            self._watchdog.returncode = 0  # the parent's child, not ours to wait for

    def abandon(self) -> None:
        """Stop a server whose owner forgot it; runs when the Server is collected, or at exit."""
        if os.getpid() == self._owner_pid:
            message = "an embedded PostgreSQL server was never stopped: use `with Server()`"
            warnings.warn(message, ResourceWarning, stacklevel=2)
        self.stop()


def _no_watchdog(reason: object) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"the watchdog of the embedded server did not run ({reason}): sys.executable, {sys.executable!r}, "
        "must be a Python interpreter"
    )
