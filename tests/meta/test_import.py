"""What ``import howdah`` loads: nothing that a program which waits for one query does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import howdah

SRC = str(Path(__file__).resolve().parents[2] / "src")
UNWANTED = ("asyncio", "ssl", "logging", "dataclasses")

PROGRAM = """
import sys
before = set(sys.modules)
import howdah
print(howdah.compiled)
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("pure", [True, False], ids=["pure", "compiled"])
def test_import_loads_little(pure):
    if not pure and not howdah.compiled and os.environ.get("HOWDAH_PURE") != "1":
        pytest.skip("this checkout has no compiled modules")
    environment = {**os.environ, "PYTHONPATH": SRC}
    environment.pop("HOWDAH_PURE", None)
    if pure:
        environment["HOWDAH_PURE"] = "1"
    run = subprocess.run(
        # -I would ignore PYTHONPATH; -S keeps .pth files from loading modules of their own
        [sys.executable, "-S", "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    compiled, loaded = run.stdout.splitlines()
    names = loaded.split()
    assert "howdah._sync.connection" in names
    if pure:
        assert compiled == "False"
    elif howdah.compiled:
        assert compiled == "True"
    found = [name for name in names if name.partition(".")[0] in UNWANTED]
    assert not found, f"import howdah loads {found}"
    assert not [name for name in names if name.startswith("howdah._async")]
