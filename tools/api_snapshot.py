#!/usr/bin/env python3
"""The public API as text: every public module with its names and their signatures, without annotations.

    api_snapshot.py             print it
    api_snapshot.py --write     write tests/meta/api_snapshot.txt, which a test compares with the code

A module is public if no part of its name begins with an underscore and it has `__all__`. What a class has
from another public class is listed there only. A change of the snapshot is a change that users see: say it in
CHANGELOG.md.
"""

from __future__ import annotations

import argparse
import enum
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "tests" / "meta" / "api_snapshot.txt"

# Layers below the public one (tools/check_layers.py), programs, modules that need another project installed.
NOT_LISTED = {
    "auth",
    "config",
    "core",
    "net",
    "wire",
    "__main__",
    "arrow",
    "cli",
    "pytest_plugin",
    "sqlalchemy",
}


def public_modules() -> list[ModuleType]:
    import howdah

    names = ["howdah"]
    pending = [howdah]
    while pending:
        package = pending.pop()
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            own = found.name.rpartition(".")[2]
            if own.startswith("_") or (package is howdah and own in NOT_LISTED):
                continue
            names.append(found.name)
            if found.ispkg:
                pending.append(importlib.import_module(found.name))
    modules = [importlib.import_module(name) for name in sorted(names)]
    return [module for module in modules if hasattr(module, "__all__")]


def signature(thing: Any) -> str:
    """`(a, *, b=1)`: parameters and defaults; annotations look different in each version of Python."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    text = str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def is_ours(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] == "howdah"


def describe(name: str, value: Any, public: frozenset[type] = frozenset()) -> Iterator[str]:
    """The lines for one name; `public` are the classes that have lines of their own."""
    if isinstance(value, type) and is_ours(value):
        bases = ", ".join(base.__name__ for base in value.__bases__)
        call = "" if issubclass(value, enum.Enum) else signature(value)
        yield f"class {name}{call}: {bases}"
        yield from (f"    {line}" for line in members(value, public))
    elif isinstance(value, ModuleType):
        yield f"module {name}"
    elif inspect.isroutine(value):
        yield f"{prefix(value)}def {name}{signature(value)}"
    elif isinstance(value, bool):  # says how it was built, not what the API is
        yield f"{name}: bool"
    elif isinstance(value, (str, int, float, bytes, type(None))) and not name.startswith("__version"):
        yield f"{name} = {value!r}"
    else:
        yield f"{name}: {getattr(type(value), '__name__', '?')}"


def prefix(function: Any) -> str:
    return "async " if inspect.iscoroutinefunction(function) else ""


def members(owner: type, public: frozenset[type]) -> list[str]:
    """The public attributes of a class, its own and those it has from private classes of this package."""
    lines = {}
    sources = [each for each in owner.__mro__ if is_ours(each) and (each is owner or each not in public)]
    for source in reversed(sources):
        for name, value in vars(source).items():
            if name.startswith("_"):
                continue
            if isinstance(value, enum.Enum):
                lines[name] = f"{name} = {value.value!r}"
            elif isinstance(value, (staticmethod, classmethod)):
                kind = type(value).__name__
                lines[name] = f"{kind} {prefix(value.__func__)}def {name}{signature(value.__func__)}"
            elif inspect.isroutine(value) and callable(value):
                lines[name] = f"{prefix(value)}def {name}{signature(value)}"
            elif isinstance(value, property):
                lines[name] = f"property {name}" + ("" if value.fset is None else " (can be set)")
            else:
                lines[name] = f"attribute {name}"
    return [lines[name] for name in sorted(lines)]


def render() -> str:
    out = ["# The public API. Written by tools/api_snapshot.py --write.\n"]
    modules = public_modules()
    values = [getattr(module, name) for module in modules for name in module.__all__]
    public = frozenset(value for value in values if isinstance(value, type))
    seen: dict[type, str] = {}
    for module in modules:
        out.append(f"\n[{module.__name__}]\n")
        for name in sorted(set(module.__all__)):
            value = getattr(module, name)
            first = seen.get(value) if isinstance(value, type) else None
            if first:
                out.append(f"{name} is {first}\n")
                continue
            if isinstance(value, type):
                seen[value] = f"{module.__name__}.{name}"
            out += [line + "\n" for line in describe(name, value, public)]
    return "".join(out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {SNAPSHOT.relative_to(ROOT)}")
    args = parser.parse_args(argv)
    sys.path.insert(0, str(ROOT / "src"))
    if args.write:
        SNAPSHOT.write_text(render(), encoding="utf-8")
    else:
        print(render(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
