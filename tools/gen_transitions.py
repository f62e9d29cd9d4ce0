"""Writes the table of steps and messages into docs/internals.md, from core/operation.py.

python tools/gen_transitions.py --write
python tools/gen_transitions.py --check
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "internals.md"
BEGIN = "<!-- made by tools/gen_transitions.py -->"
END = "<!-- end -->"

NAMES = {
    "1": "ParseComplete", "2": "BindComplete", "3": "CloseComplete", "C": "CommandComplete", "D": "DataRow",
    "G": "CopyInResponse", "H": "CopyOutResponse", "I": "EmptyQueryResponse", "K": "BackendKeyData",
    "R": "Authentication", "T": "RowDescription", "W": "CopyBothResponse", "Z": "ReadyForQuery", "c": "CopyDone",
    "d": "CopyData", "n": "NoData", "s": "PortalSuspended", "t": "ParameterDescription", "v": "NegotiateProtocolVersion",
}  # fmt: skip


def table() -> str:
    """The markdown table: a line for each step, what each message that is legal there does."""
    if "howdah" not in sys.modules:
        os.environ["HOWDAH_PURE"] = "1"  # the table is the same, and no build is needed
        sys.path.insert(0, str(ROOT / "src"))
    from howdah.core import operation

    actions = {
        value: name.lower().replace("_", " ")
        for name, value in vars(operation).items()
        if name.isupper() and isinstance(value, int) and name not in (*operation.STEP_NAMES, "STEPS")
    }
    lines = ["| step | message: what it does |", "|---|---|"]
    for step, row in operation.TRANSITIONS.items():
        cells = [f"{NAMES[letter]} `{letter}`: {actions[action]}" for letter, action in row.items()]
        lines.append(f"| {operation.STEP_NAMES[step]} | {', '.join(cells) or 'none: an ErrorResponse ends it'} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", action="store_true", help="write the table into docs/internals.md")
    choice.add_argument("--check", action="store_true", help="fail when the table there is another")
    options = parser.parse_args(argv)
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.relative_to(ROOT)} has no {BEGIN} ... {END}")
    fresh = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if options.check:
        if fresh != page:
            print("docs/internals.md: the table of steps is old; run tools/gen_transitions.py --write")
            return 1
        return 0
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
