"""The generated tables are what their generators would write; and the generators would notice a change."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from howdah import _oids, _sqlstates

ROOT = Path(__file__).resolve().parents[2]


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["gen_sqlstates", "gen_oids", "gen_transitions"])
def test_tables_are_up_to_date(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load_tool(name).main(["--check"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("name", "output"), [("gen_sqlstates", "STUB"), ("gen_oids", "MODULE")])
def test_changes_are_noticed(
    name: str,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool = load_tool(name)
    changed = tmp_path / "changed.py"
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, output, changed)
    if name == "gen_sqlstates":
        monkeypatch.setattr(tool, "MODULE", tmp_path / "module.py")
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    changed.write_text(changed.read_text().replace("NumericValue", "Value").replace("INT4 = 23", "INT4 = 24"))
    assert tool.main(["--check"]) == 1
    assert f"changed.py is out of date: run tools/{name}.py" in capsys.readouterr().out
    changed.unlink()
    assert tool.main(["--check"]) == 1


def test_errcodes_are_read_as_postgresql_writes_them(tmp_path: Path) -> None:
    """Aliases of a SQLSTATE, conditions without a name, sections, warnings and success."""
    errcodes = tmp_path / "errcodes.txt"
    errcodes.write_text(
        "# comment\n"
        "Section: Class 00 - Successful Completion\n"
        "00000    S    ERRCODE_SUCCESSFUL_COMPLETION          successful_completion\n"
        "Section: Class 01 - Warning\n"
        "01000    W    ERRCODE_WARNING                        warning\n"
        "Section: Class 22 - Data Exception\n"
        "2202E    E    ERRCODE_ARRAY_ELEMENT_ERROR\n"
        "2202E    E    ERRCODE_ARRAY_SUBSCRIPT_ERROR          array_subscript_error\n"
        "22012    E    ERRCODE_DIVISION_BY_ZERO               division_by_zero\n"
        "Section: Class 26 - Invalid SQL Statement Name\n"
        "26000    E    ERRCODE_UNDEFINED_PSTATEMENT\n"
        "26000    E    ERRCODE_INVALID_SQL_STATEMENT_NAME     invalid_sql_statement_name\n"
    )
    states = load_tool("gen_sqlstates").extract(errcodes)
    assert [(state.code, state.class_name, state.base, state.section) for state in states] == [
        ("22012", "DivisionByZero", "DataError", "Class 22 - Data Exception"),
        ("2202E", "ArraySubscriptError", "DataError", "Class 22 - Data Exception"),
        ("26000", "InvalidSqlStatementName", "ProgrammingError", "Class 26 - Invalid SQL Statement Name"),
        ("72000", "SnapshotTooOld", "DatabaseError", "Class 72 - Snapshot Failure"),
    ]


def test_oids() -> None:
    """Some that the manual and pg_type.dat fix, and that nothing is given twice."""
    assert (_oids.INT4, _oids.INT4_ARRAY, _oids.TEXT, _oids.RECORD_ARRAY, _oids.UNKNOWN) == (
        23,
        1007,
        25,
        2287,
        705,
    )
    assert _oids.OIDS["timestamptz"] == (_oids.TIMESTAMPTZ, _oids.TIMESTAMPTZ_ARRAY) == (1184, 1185)
    types = {name: (oid, array_oid, delimiter, regtype) for name, oid, array_oid, delimiter, regtype in _oids.TYPES}
    assert types["box"] == (603, 1020, ";", "box")
    assert types["char"] == (18, 1002, ",", '"char"')
    assert types["timetz"][3] == "time with time zone"
    assert (_oids.INT8RANGE, _oids.INT8, _oids.INT8MULTIRANGE) in _oids.RANGES
    numbers = [number for _, oid, array_oid, _, _ in _oids.TYPES for number in (oid, array_oid) if number]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < 10000


def test_sqlstates() -> None:
    assert _sqlstates.SQLSTATES["UniqueViolation"] == "23505"
    assert all(len(code) == 5 and code.isalnum() for code in _sqlstates.SQLSTATES.values())
