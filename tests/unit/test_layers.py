"""The shape of the code: `cli -> run -> {plan, drivers, sample} -> model`, and what has one place only."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine_backup

PACKAGE = Path(engine_backup.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Which layers each layer may import; "" is the package itself (its version).
ALLOWED = {
    "": {"cli"},
    "model": {"model"},
    "plan": {"model", "plan"},
    "drivers": {"", "model", "drivers"},
    "sample": {"model", "drivers", "sample"},
    "run": {"", "model", "plan", "drivers", "sample", "run"},
    "cli": {"", "model", "run", "cli"},
}
# The two that may print are the console and nothing else; the two that may exit are the entry points.
STARTS_PROGRAMS = {"drivers/process.py"}
EXITS = {"cli/main.py", "__main__.py"}
PRINTS = {"cli/console.py"}


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def layer_of(module: Path) -> str:
    parts = module.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


def imports_of(module: Path) -> Iterator[str]:
    """Full dotted names of all imports, also of those inside functions."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(module)}:{node.lineno}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_layer(name: str) -> str:
    first = name.split(".")[1]
    return first if first in ALLOWED else ""


def calls_of(module: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
        elif isinstance(node, ast.Raise) and node.exc is not None:
            yield f"raise {ast.unparse(node.exc).split('(')[0]}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_one_way(module):
    layer = layer_of(module)
    assert layer in ALLOWED, f"{layer} is no layer that the design knows"
    for name in imports_of(module):
        if name.split(".")[0] == "engine_backup":
            assert imported_layer(name) in ALLOWED[layer], f"{layer} must not import {name}"


@pytest.mark.parametrize("module", [module for module in MODULES if layer_of(module) == "model"], ids=name_of)
def test_model_needs_nothing_but_the_standard_library(module):
    if sys.version_info < (3, 10):
        pytest.skip("Python 3.9 has no list of its own modules")
    for name in imports_of(module):
        top = name.split(".")[0]
        assert top == "engine_backup" or top in sys.stdlib_module_names, (
            f"{name} is not in the standard library"
        )


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_one_module_starts_programs(module):
    if name_of(module) in STARTS_PROGRAMS:
        return
    assert not {
        name for name in imports_of(module) if name.split(".")[0] in {"subprocess", "pty", "multiprocessing"}
    }
    forbidden = ("os.system", "os.popen", "os.fork", "os.exec", "os.spawn", "os.posix_spawn")
    assert not {call for call in calls_of(module) if call.startswith(forbidden)}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_entry_points_exit(module):
    if name_of(module) in EXITS:
        return
    exits = {"sys.exit", "exit", "quit", "os._exit", "os.abort", "raise SystemExit"}
    assert not exits.intersection(calls_of(module))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_console_prints(module):
    if name_of(module) in PRINTS:
        return
    prints = {"print", "sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer.write"}
    assert not prints.intersection(calls_of(module))
