"""The watchdog of an embedded server: a small process that cleans up when its parent can not.

A Python process that is killed (kill -9, SIGTERM without a handler, a crash) runs no clean-up of its own, so
a child does it. The child holds the read end of a pipe whose write end only the parent has. While the parent
lives it sends lines, each naming something to look after:

    remove PATH   a folder to delete at the end; sent before the folder is made
    keep PATH     not to be deleted any more
    data PATH     the data folder of a server that is about to be started
    stop PID      a process to stop at the end; replaces the one before
    done          the parent has cleaned up; end without doing anything

End of file without "done" means that the parent is gone: the process is stopped and the folders are deleted.
A fork of the parent may hold a copy of the write end, therefore the parent's process id is looked at once a
second as well.

The parent could die between starting the server and sending its "stop" line. For that window "data" says
where postmaster.pid will appear; the file is believed only if the server in it started later than the
watchdog did, since a data folder in use belongs to somebody else. Where the kernel has process descriptors
the process is held by one, so that a number used again is never signalled.

Runs as a script under `python -I -S`, in its own session, and imports the standard library only. The parent
imports the same functions for an orderly stop.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# PostgreSQL's manual, "Shutting Down the Server": SIGINT is the fast shutdown, SIGQUIT the immediate one.
_STOP_STEPS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
_REMOVE_TIMEOUT_S = 5.0
_PARENT_CHECK_S = 1.0
_PID_FILE_TIMEOUT_S = 1.0
_POLL_S = 0.02


def stop_process(send: Callable[[int], None], wait_gone: Callable[[float], bool]) -> bool:
    """Stop a process more and more firmly; true when it is gone.

    `send(signal)` may raise ProcessLookupError; `wait_gone(timeout_s)` tells whether the process ended in
    that time.
    """
    for number, patience_s in _STOP_STEPS:
        try:
            send(number)
        except ProcessLookupError:
            return True
        if wait_gone(patience_s):
            return True
    return False


def remove_folder(path: str) -> None:
    """Delete a folder tree; tried again for a few seconds, as a dying server may still write into it."""
    deadline = time.monotonic() + _REMOVE_TIMEOUT_S
    while True:
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.lexists(path) or time.monotonic() >= deadline:
            return
        time.sleep(_POLL_S)


class _Target:
    """A process to stop that is not our child."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._pidfd = -1
        if hasattr(os, "pidfd_open"):
            try:
                self._pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                self._pid = 0  # ended already
            except OSError:
                pass  # an old kernel or a sandbox: the plain number must do

    def close(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)

    def stop(self) -> None:
        stop_process(self._send, self._wait_gone)

    def _send(self, number: int) -> None:
        if self._pid == 0:
            raise ProcessLookupError
        if self._pidfd >= 0:
            signal.pidfd_send_signal(self._pidfd, number)  # type: ignore[attr-defined,unused-ignore]
        else:
            os.kill(self._pid, number)

    def _wait_gone(self, timeout_s: float) -> bool:
        if self._pidfd >= 0:
            return bool(select.select([self._pidfd], [], [], timeout_s)[0])
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                os.kill(self._pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(_POLL_S)
        return False


def _server_started_since(data_folder: str, since: float) -> _Target | None:
    """The server that wrote postmaster.pid in `data_folder` at or after `since` (seconds of the wall
    clock)."""
    deadline = time.monotonic() + _PID_FILE_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with open(os.path.join(data_folder, "postmaster.pid"), encoding="utf-8", errors="replace") as file:
                lines = file.read().split("\n")
            if int(lines[2]) >= int(since):
                return _Target(int(lines[0]))
        except (OSError, ValueError, IndexError):
            pass  # not there yet, or half written
        time.sleep(_POLL_S)
    return None


def _watch(parent_pid: int) -> None:
    started = time.time()
    folders: list[str] = []
    target: _Target | None = None
    data_folder = ""
    pending = b""
    while os.getppid() == parent_pid or select.select([0], [], [], 0)[0]:
        if not select.select([0], [], [], _PARENT_CHECK_S)[0]:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            break
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            verb, _, rest = line.partition(b" ")
            if verb == b"done":
                return
            if verb == b"remove":
                folders.append(os.fsdecode(rest))
            elif verb == b"keep":
                folders.remove(os.fsdecode(rest))
            elif verb == b"data":
                data_folder = os.fsdecode(rest)
                if target is not None:
                    target.close()
                target = None
            elif verb == b"stop":
                if target is not None:
                    target.close()
                target = _Target(int(rest))
    if target is None and data_folder:
        target = _server_started_since(data_folder, started)
    if target is not None:
        target.stop()
    for folder in folders:
        remove_folder(folder)


if __name__ == "__main__":
    # Whoever stops a whole service sends these to every process of it; the work comes after the parent's end.
    for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(_number, signal.SIG_IGN)
    _watch(int(sys.argv[1]))
