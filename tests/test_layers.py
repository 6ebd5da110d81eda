"""Arrows point down: cli → dino_os → engines; skills may use both; and there are no cycles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "engines": set[str](),
    "dino_os": {"engines"},
    "skills": {"dino_os", "engines"},
    "cli": {"dino_os"},
}
SOURCES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for path in [
        REPOSITORY / "cli.py",
        *(file for top in MAY_IMPORT for file in (REPOSITORY / top).rglob("*.py")),
    ]
}
ENGINES = sorted(
    name
    for name, path in SOURCES.items()
    if path.stem == "__init__" and name.startswith("engines.")
)
CODE = sorted(module for module in SOURCES if not module.startswith("dino_os.templates."))
IN_ENGINES = [module for module in CODE if module.startswith("engines.")]


@cache
def tree_of(module: str) -> ast.Module:
    """Read by the tests, not where they are collected: every worker collects them all."""
    return ast.parse(SOURCES[module].read_text())


@cache
def named_by(module: str) -> frozenset[str]:
    """Every module that it imports, also inside functions and for type checkers."""
    return frozenset(imported(tree_of(module), module))


def imported(node: ast.AST, module: str) -> Iterator[str]:
    """Every module that an import below *node* names, `from x import y` as x and x.y."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            base = found.module or ""
            if found.level:
                package = module if SOURCES[module].stem == "__init__" else parent(module)
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - found.level + 1], base]).rstrip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in found.names)


def parent(module: str) -> str:
    return module.rpartition(".")[0]


def at_module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that run on import: not in functions, not for type checkers only."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            waiting += statement.orelse
            continue
        inner = [s for s in ast.iter_child_nodes(statement) if isinstance(s, ast.stmt)]
        handlers = [s for h in getattr(statement, "handlers", ()) for s in h.body]
        if inner or handlers:
            waiting += [*inner, *handlers]
        else:
            yield statement


def up(module: str) -> Iterator[str]:
    """The module and the packages around it."""
    while module:
        yield module
        module = parent(module)


def needs(module: str) -> set[str]:
    """Our modules that must be complete before *module* is, their packages included."""
    names = {name for s in at_module_level(tree_of(module)) for name in imported(s, module)}
    wanted = {outer for name in names if name in SOURCES for outer in up(name)}
    return wanted - set(up(module))


def public(door: str) -> list[str]:
    """The `__all__` of a package."""
    for statement in tree_of(door).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return list(ast.literal_eval(statement.value))
    raise AssertionError(f"{door} has no __all__")


def test_the_house_is_seen() -> None:
    """The laws below are about the modules that there are."""
    assert {"cli", "dino_os", "engines", "engines.zone.registry", "skills.hello"} <= set(SOURCES)
    assert "engines.journal" in named_by("engines.engine")
    assert needs("engines.zone") == {
        f"engines.zone.{name}" for name in ("boundary", "model", "polygon", "registry")
    }


def tops(module: str) -> set[str]:
    return {name.split(".", maxsplit=1)[0] for name in named_by(module)}


def test_imports_point_down() -> None:
    """Also those inside functions and for type checkers: nothing knows what lies above it."""
    may = {top: below | {top} for top, below in MAY_IMPORT.items()}
    up = {m: tops(m) & set(MAY_IMPORT) - may[m.split(".", maxsplit=1)[0]] for m in CODE}
    assert {module: names for module, names in up.items() if names} == {}


def test_engines_know_neither_terminal_nor_settings() -> None:
    """What an engine needs is handed to it; it prints nothing and reads no environment."""
    others = {"click", "rich", "yaml", "ruamel", "msgspec", "pluggy", "argparse"}
    assert {module: known for module in IN_ENGINES if (known := tops(module) & others)} == {}
    asked = {
        (module, call)
        for module in IN_ENGINES
        if module != "engines.home"  # whose subject it is
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and (call := ast.unparse(node.func))
        if call in {"print", "os.getenv"} or call.startswith("os.environ")
    }
    assert asked == set()


def test_engines_use_each_other_through_their_front_doors() -> None:
    """From another engine's package only what its `__init__` shows."""
    # A name that a door shows is not a room behind it, even where both are called the same.
    shown = {f"{door}.{name}" for door in ENGINES for name in public(door)}
    rooms = {name for name in SOURCES if parent(name) in ENGINES} - shown
    entered = {
        (module, name)
        for module in IN_ENGINES
        for name in named_by(module) & rooms
        if parent(name) != ".".join(module.split(".")[:2])
    }
    assert entered == set()


def test_there_are_no_import_cycles() -> None:
    """Among module-level imports there is an order in which every module can be loaded."""
    graph = {module: needs(module) for module in CODE}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))
    assert set(order) >= set(CODE)


def test_every_module_says_what_it_is() -> None:
    """The first statement of a module, and so of every package, is its docstring."""
    first = {module: ast.get_docstring(tree_of(module)) or "" for module in CODE}
    said = {
        module for module, text in first.items() if text[:1].isupper() or text[:1] in {"`", "@"}
    }
    assert set(CODE) - said == set()


@pytest.mark.parametrize("door", ENGINES)
def test_a_front_door_shows_what_it_imports(door: str) -> None:
    """An engine's `__all__` is sorted, without doubles, and names what stands in the file."""
    shown = public(door)
    bound = {
        alias.name
        for statement in tree_of(door).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert shown == sorted(set(shown), key=lambda name: (not name.isupper(), name))
    assert set(shown) <= bound
