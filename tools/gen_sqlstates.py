#!/usr/bin/env python3
"""Write the tables of SQLSTATEs: src/howdah/_sqlstates.py and its type stub _sqlstates.pyi.

The source of truth is tools/data/errcodes.tsv, one SQLSTATE per line, taken from the errcodes.txt that
PostgreSQL installs in its share folder.

    gen_sqlstates.py                        write both files from the table
    gen_sqlstates.py --check                exit 1 when a file differs from what would be written
    gen_sqlstates.py --extract errcodes.txt read a (newer) PostgreSQL's list into the table first
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tools" / "data" / "errcodes.tsv"
MODULE = ROOT / "src" / "howdah" / "_sqlstates.py"
STUB = ROOT / "src" / "howdah" / "_sqlstates.pyi"

# The PEP 249 class of each SQLSTATE class (first two characters), else of its first one, else DatabaseError.
# The same choice as psycopg 3's, so that `except` clauses of programs written for it catch the same errors.
BASES = {
    "08": "OperationalError",  # Connection Exception
    "0A": "NotSupportedError",  # Feature Not Supported
    "10": "ProgrammingError",  # XQuery Error
    "20": "ProgrammingError",  # Case Not Found
    "21": "ProgrammingError",  # Cardinality Violation
    "22": "DataError",  # Data Exception
    "23": "IntegrityError",  # Integrity Constraint Violation
    "24": "InternalError",  # Invalid Cursor State
    "25": "InternalError",  # Invalid Transaction State
    "26": "ProgrammingError",  # Invalid SQL Statement Name
    "27": "OperationalError",  # Triggered Data Change Violation
    "28": "OperationalError",  # Invalid Authorization Specification
    "2B": "InternalError",  # Dependent Privilege Descriptors Still Exist
    "2D": "InternalError",  # Invalid Transaction Termination
    "2F": "OperationalError",  # SQL Routine Exception
    "34": "ProgrammingError",  # Invalid Cursor Name
    "38": "OperationalError",  # External Routine Exception
    "39": "OperationalError",  # External Routine Invocation Exception
    "3B": "OperationalError",  # Savepoint Exception
    "3D": "ProgrammingError",  # Invalid Catalog Name
    "3F": "ProgrammingError",  # Invalid Schema Name
    "40": "OperationalError",  # Transaction Rollback
    "42": "ProgrammingError",  # Syntax Error or Access Rule Violation
    "44": "ProgrammingError",  # WITH CHECK OPTION Violation
    "53": "OperationalError",  # Insufficient Resources
    "54": "OperationalError",  # Program Limit Exceeded
    "55": "OperationalError",  # Object Not In Prerequisite State
    "57": "OperationalError",  # Operator Intervention
    "58": "OperationalError",  # System Error (errors external to PostgreSQL itself)
    "F": "OperationalError",  # Configuration File Error
    "H": "OperationalError",  # Foreign Data Wrapper Error (SQL/MED)
    "P": "ProgrammingError",  # PL/pgSQL Error
    "X": "InternalError",  # Internal Error
}
DEFAULT_BASE = "DatabaseError"

# SQLSTATEs that servers we talk to still send and PostgreSQL 18 no longer lists.
RETIRED = {"72000": ("snapshot_too_old", "Class 72 - Snapshot Failure")}

# Condition names that errcodes.txt leaves out, and those that two SQLSTATEs share.
CONDITIONS = {
    "2202E": "array_subscript_error",
    "22008": "datetime_field_overflow",
    "26000": "invalid_sql_statement_name",
    "34000": "invalid_cursor_name",
    "38002": "modifying_sql_data_not_permitted_ext",
    "38003": "prohibited_sql_statement_attempted_ext",
    "38004": "reading_sql_data_not_permitted_ext",
    "39004": "null_value_not_allowed_ext",
    "3D000": "invalid_catalog_name",
    "3F000": "invalid_schema_name",
}

# Class names that are taken by PEP 249.
CLASS_NAMES = {"internal_error": "InternalError_"}


class State(NamedTuple):
    """One SQLSTATE: its code, PostgreSQL's condition name, and the title of its class in the manual."""

    code: str
    condition: str
    section: str

    @property
    def class_name(self) -> str:
        camel = "".join(word.capitalize() for word in self.condition.split("_"))
        return CLASS_NAMES.get(self.condition, camel)

    @property
    def base(self) -> str:
        return BASES.get(self.code[:2]) or BASES.get(self.code[:1]) or DEFAULT_BASE


def extract(errcodes: Path) -> list[State]:
    """Read PostgreSQL's errcodes.txt: every error condition, one name per SQLSTATE (some have aliases)."""
    states: dict[str, State] = {}
    section = ""
    for line in errcodes.read_text().splitlines():
        if line.startswith("Section:"):
            section = " ".join(line.removeprefix("Section:").split())
        match = re.match(r"([0-9A-Z]{5})\s+([EWS])\s+ERRCODE_\w+(?:\s+(\w+))?", line)
        if match is None or match[1][:2] in ("00", "01"):  # success and warnings are never raised
            continue
        code = match[1]
        condition = CONDITIONS.get(code) or match[3]
        if code not in states and condition:
            states[code] = State(code, condition, section)
    for code, (condition, section) in RETIRED.items():
        states.setdefault(code, State(code, condition, section))
    return sorted(states.values())


def read_table() -> list[State]:
    lines = TABLE.read_text().splitlines()
    return [State(*line.split("\t")) for line in lines if line and not line.startswith("#")]


def render_table(states: list[State]) -> str:
    head = "# SQLSTATE, condition, class; from errcodes.txt of PostgreSQL by tools/gen_sqlstates.py --extract\n"
    return head + "".join("\t".join(state) + "\n" for state in states)


def render_module(states: list[State]) -> str:
    out = ['"""SQLSTATEs and their exception classes. Generated by tools/gen_sqlstates.py: do not edit."""\n\n']
    out.append("# PEP 249 class by the first two characters of a SQLSTATE, or by its first.\n")
    out.append("BASES = {\n")
    out += [f'    "{prefix}": "{base}",\n' for prefix, base in BASES.items()]
    out.append("}\n\n# SQLSTATE by the name of its class in howdah.errors.\nSQLSTATES = {\n")
    section = ""
    for state in states:
        if state.section != section:
            section = state.section
            out.append(f"    # {section}\n")
        out.append(f'    "{state.class_name}": "{state.code}",\n')
    out.append("}\n")
    return "".join(out)


def render_stub(states: list[State]) -> str:
    bases = sorted({state.base for state in states}, key=str.lower)
    out = ["# What type checkers see of the classes that howdah.errors makes on first use.\n"]
    out.append("# Generated by tools/gen_sqlstates.py: do not edit.\n\n")
    out.append("from .errors import (\n" + "".join(f"    {base},\n" for base in bases) + ")\n\n")
    out.append("BASES: dict[str, str]\nSQLSTATES: dict[str, str]\n\n")
    out.append("__all__ = [\n" + "".join(f'    "{state.class_name}",\n' for state in states) + "]\n")
    out += [f"\nclass {state.class_name}({state.base}):\n    sqlstate: str\n" for state in states]
    return "".join(out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a file is out of date")
    parser.add_argument("--extract", type=Path, metavar="ERRCODES_TXT", help="refresh the table first")
    args = parser.parse_args(argv)
    if args.extract:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(render_table(extract(args.extract)))
    states = read_table()
    names = [state.class_name for state in states]
    clashes = sorted({name for name in names if names.count(name) > 1})
    if clashes:
        print(f"gen_sqlstates: two SQLSTATEs give one class name: {', '.join(clashes)}; see CONDITIONS")
        return 1
    stale = 0
    for path, text in ((MODULE, render_module(states)), (STUB, render_stub(states))):
        if args.check:
            if not path.exists() or path.read_text() != text:
                print(f"{path.relative_to(ROOT)} is out of date: run tools/gen_sqlstates.py")
                stale = 1
        else:
            path.write_text(text)
    return stale


if __name__ == "__main__":
    sys.exit(main())
