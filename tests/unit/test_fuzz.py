"""The fuzz targets in short: a few thousand inputs each, and all that were ever found (fuzz/corpus). `make fuzz` has the rest."""

from __future__ import annotations

import os
import signal
import traceback
from pathlib import Path

import pytest
from fuzz import targets
from fuzz.mutate import pack, unpack
from fuzz.run import fuzz, inputs_of

BLOCKS = 1  # of a thousand inputs
SEED = 20261123


TARGETS = {target.name: target for target in targets.all_targets()}


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_does_harm(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = TARGETS[name]
    monkeypatch.setattr("os.urandom", targets.known_random)
    for data in [*target.seeds, *(data for block in range(BLOCKS) for data in inputs_of(target, SEED, block))]:
        try:
            target.run(data)
        except BaseException:
            pytest.fail(f"{data!r}\n{traceback.format_exc()}", pytrace=False)


def test_every_reader_of_messages_has_a_target_and_a_sample() -> None:
    from howdah.wire import backend

    readers = {name for name in vars(backend) if name.startswith("read_")}
    assert readers == set(targets.SAMPLES)
    assert {"backend." + name[5:] for name in readers} <= set(TARGETS)


def test_every_codec_has_a_target() -> None:
    from howdah.types.registry import UTC, registry_for

    reached = {oid for codecs in targets.families().values() for oid, _ in codecs}
    assert reached == {oid for oid in registry_for(UTC).by_oid if oid}
    for family in targets.families():
        assert {f"types.{family}.text", f"types.{family}.binary"} <= set(TARGETS)


def test_an_input_is_known_by_seed_target_and_number() -> None:
    target = TARGETS["session"]
    assert list(inputs_of(target, 7, 3)) == list(inputs_of(target, 7, 3))
    assert list(inputs_of(target, 7, 3)) != list(inputs_of(target, 8, 3))


@pytest.mark.parametrize("turns", [[], [b""], [b"abc", b"", b"\0" * 300]])
def test_streams_are_unpacked_as_they_were_packed(turns: list[bytes]) -> None:
    assert unpack(pack(3, 500, turns)) == (3, 500, turns)


@pytest.mark.parametrize("fault", ["raise", "crash", "hang"])
def test_the_runner_finds(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign exception, a dying process and an input without an end are failures, and the input is kept."""
    monkeypatch.setattr("fuzz.run.FOUND", tmp_path)
    monkeypatch.setattr("fuzz.run.CACHE", tmp_path)
    monkeypatch.setattr("fuzz.run.HANG_CPU_S", 0.3)

    def run(data: bytes) -> None:
        if data == b"17":
            if fault == "raise":
                raise IndexError("found")
            if fault == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            while True:
                pass

    numbers = [str(number).encode() for number in range(100)]
    target = targets.Target("faulty", numbers, lambda rng: b"made", run)
    assert fuzz(target, 1, 200) == 1
    saved = [path for path in tmp_path.iterdir() if path.suffix == ".bin"]
    assert [path.read_bytes() for path in saved] == [b"17"]
    assert saved[0].with_suffix(".txt").exists()
