#!/usr/bin/env python3
"""Check that imports point only downwards, and never in circles.

    check_layers.py [folder of the package]     print what is wrong, as file:line: text; exit 1 if anything is

Read are the import statements of every .py file and the cimports of every .pxd file; nothing is imported.

1. Every module has a layer (LAYERS). It imports its own layer and lower ones, never a higher one. This holds
   for imports within functions too; not for those under `if TYPE_CHECKING:`, which never run.
2. No circle of imports at module level. An import within a function may close one: that is what it is for.
3. The packages of PURE do no I/O and have no clock: they import none of IO_MODULES.
4. The packages of PUBLIC_ONLY import public names only: no private module, nothing of a layer below those.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent.parent / "src" / "howdah"
NAME = "howdah"

# The layer of the modules and packages directly below the package; of "" the package's own __init__.
LAYERS = {
    **dict.fromkeys(("_build", "_cy", "_oids", "_sqlstates", "_typing", "errors", "hooks", "wire"), 0),
    **dict.fromkeys(("auth", "config", "types"), 1),
    "core": 2,
    "net": 3,
    **dict.fromkeys(("", "_async", "_base", "_sync"), 4),
    **dict.fromkeys(("adapt", "conninfo", "copy", "dbapi", "deadline", "pool", "retry", "rows", "sql"), 4),
    **dict.fromkeys(("__main__", "arrow", "cli", "embedded", "monitor", "observe", "pytest_plugin", "sqlalchemy"), 5),
}
PUBLIC_LAYER = 4
PURE = {"auth", "core", "types", "wire"}
IO_MODULES = {"asyncio", "logging", "select", "selectors", "socket", "time"}
PUBLIC_ONLY = {"observe"}
PUBLIC_LEAVES = {"errors", "hooks"}


@dataclass(frozen=True)
class Import:
    """One imported module: `target` is absolute; `deferred` if it runs only when a function is called."""

    target: str
    line: int
    deferred: bool = False


@dataclass(frozen=True)
class Module:
    """A module of the package, or the declarations beside it, with what it imports."""

    name: str
    path: Path
    imports: tuple[Import, ...]


def part(module: str) -> str:
    """The part of the package that a module belongs to: "wire" for howdah.wire.bytes, "" for howdah."""
    return [*module.split("."), ""][1]


def is_ours(module: str) -> bool:
    return module == NAME or module.startswith(NAME + ".")


def module_name(path: Path, package_dir: Path) -> str:
    parts = [NAME, *path.relative_to(package_dir).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute(module: str, level: int, importer: str, is_package: bool) -> str:
    """The absolute name of what `from <level dots><module> import` in `importer` means."""
    if level == 0:
        return module
    parts = importer.split(".")
    base = parts[: len(parts) - level + is_package]
    return ".".join([*base, module] if module else base)


def from_targets(module: str, names: list[str], known: set[str]) -> list[str]:
    """The modules that `from module import names` imports: a name that is a submodule, else the module."""
    return sorted({f"{module}.{name}" if f"{module}.{name}" in known else module for name in names})


def is_type_checking(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING") or (
        isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING"
    )


def python_imports(path: Path, importer: str, known: set[str]) -> Iterator[Import]:
    """What a .py file imports when it runs."""
    is_package = path.stem == "__init__"

    def visit(node: ast.AST, deferred: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, deferred)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node.module or "", node.level, importer, is_package)
            for target in from_targets(module, [alias.name for alias in node.names], known):
                yield Import(target, node.lineno, deferred)
        children: list[ast.AST] = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and is_type_checking(node.test):
            children = list(node.orelse)
        inside = deferred or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in children:
            yield from visit(child, inside)

    yield from visit(ast.parse(path.read_text(encoding="utf-8"), str(path)), False)


CIMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<dots>\.*)(?P<module>[\w.]*)[ \t]+c?import[ \t]+"
    r"(?:\((?P<many>[^)]*)\)|(?P<names>[^\n]*))"
    r"|c?import[ \t]+(?P<plain>[\w.][^\n]*))",
    re.MULTILINE,
)


def pxd_imports(path: Path, importer: str, known: set[str]) -> Iterator[Import]:
    """What a .pxd file cimports; its module imports those when it is loaded."""
    text = re.sub(
        r'""".*?"""',
        lambda quoted: "\n" * quoted[0].count("\n"),
        path.read_text(encoding="utf-8"),
        flags=re.S,
    )
    text = re.sub(r"#[^\n]*", "", text)
    for match in CIMPORT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["plain"] is not None:
            for name in match["plain"].split(","):
                yield Import(name.split()[0], line)
            continue
        module = absolute(match["module"], len(match["dots"]), importer, is_package=False)
        names = [name.split()[0] for name in (match["many"] or match["names"]).split(",") if name.strip()]
        for target in from_targets(module, names, known):
            yield Import(target, line)


def read_modules(package_dir: Path) -> list[Module]:
    """Every .py and .pxd file of the package."""
    sources = sorted(package_dir.rglob("*.py"))
    known = {module_name(path, package_dir) for path in sources}
    modules = []
    for path in (*sources, *sorted(package_dir.rglob("*.pxd"))):
        name = module_name(path, package_dir)
        read = pxd_imports if path.suffix == ".pxd" else python_imports
        modules.append(Module(name, path, tuple(read(path, name, known))))
    return modules


def check_module(module: Module, place: str) -> Iterator[str]:
    """What is wrong with the imports of one file."""
    own = part(module.name)
    if own not in LAYERS:
        yield f"{place}:1: {own} has no layer: add it to LAYERS in tools/check_layers.py"
        return
    for imported in module.imports:
        where = f"{place}:{imported.line}"
        target = part(imported.target)
        if not is_ours(imported.target):
            if own in PURE and imported.target.partition(".")[0] in IO_MODULES:
                yield f"{where}: {own} does no I/O and has no clock, so it must not import {imported.target}"
        elif target not in LAYERS:
            yield f"{where}: {imported.target} is no module with a layer"
        elif LAYERS[target] > LAYERS[own]:
            yield (
                f"{where}: {module.name} (layer {LAYERS[own]}) must not import {imported.target}"
                f" (layer {LAYERS[target]})"
            )
        elif own in PUBLIC_ONLY and target != own:
            private = any(name.startswith("_") for name in imported.target.split("."))
            if private or (LAYERS[target] < PUBLIC_LAYER and target not in PUBLIC_LEAVES):
                yield f"{where}: {own} uses public names only, and {imported.target} is not public"


def find_circles(modules: list[Module]) -> Iterator[list[str]]:
    """Circles of imports at module level, each once, as lists of names that end where they begin."""
    edges: dict[str, list[str]] = {module.name: [] for module in modules}
    for module in modules:
        edges[module.name] += [
            found.target
            for found in module.imports
            if found.target in edges and found.target != module.name and not found.deferred
        ]
    finished: set[str] = set()
    trail: list[str] = []

    def visit(name: str) -> Iterator[list[str]]:
        if name in trail:
            yield [*trail[trail.index(name) :], name]
        elif name not in finished:
            trail.append(name)
            for target in edges[name]:
                yield from visit(target)
            trail.pop()
            finished.add(name)

    for name in edges:
        yield from visit(name)


def check(package_dir: Path) -> list[str]:
    """Everything that is wrong below `package_dir`, as `file:line: text`; files as seen from the checkout."""
    root = package_dir.parent.parent
    modules = read_modules(package_dir)
    complaints: list[str] = []
    for module in modules:
        complaints += check_module(module, module.path.relative_to(root).as_posix())
    places = {module.name: module for module in reversed(modules)}
    for circle in find_circles(modules):
        first = places[circle[0]]
        line = next((found.line for found in first.imports if found.target == circle[1]), 1)
        path = first.path.relative_to(root).as_posix()
        complaints.append(f"{path}:{line}: a circle of imports: {' -> '.join(circle)}")
    return complaints


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", type=Path, nargs="?", default=PACKAGE_DIR, help="the package's folder")
    complaints = check(parser.parse_args(argv).package.resolve())
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
