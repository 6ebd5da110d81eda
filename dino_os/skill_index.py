"""
Which skills a file holds, read from its syntax tree: nothing of it is run.

Owns what can be known of a skill without importing it: name, parameters, docstring, what it asks
for.  A file that cannot be read that way is quarantined with its reason and harms no other.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dino_os.message_bus.subject import check_subject
from dino_os.units import seconds, size_bytes
from engines.errors import InvalidInput

_OPTIONS = {
    "reads": (list, tuple),
    "writes": (list, tuple),
    "reaches": (list, tuple),
    "keys": (list, tuple),
    "programs": (bool,),
    "timeout": (str, int, float),
    "memory": (str, int),
    "needs": (dict,),
    "retries": (int,),
    "idempotent": (bool,),
    "on": (str, list, tuple),
}
# What a subscriber is told of a message besides what it says, where it has such parameters.
MESSAGE_FACTS = ("channel", "message_id", "headers")
_LONGEST_SUBSCRIBER = 80
_SIMPLE = {"str", "int", "float", "bool", "list", "dict", "Path"}
_argument_line = re.compile(r"^\s{2,}(\*{0,2}\w+)(?:\s*\([^)]*\))?:\s*(.+)$")


class UnreadableSkill(Exception):
    """A file or function that cannot be offered as a skill; the text says why and where."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One parameter of a skill.

    Attributes:
        kind: str, int, float, bool, list, dict, Path, choice or any.
        annotation: As it stands in the source.
        required: Whether it has no default.
        default: The default where it is a literal, else its source text.
        choices: Of a `Literal`, or of a list's items.
        item: Kind of a list's items.
        help: From the docstring's Args section.
    """

    name: str
    kind: str = "any"
    annotation: str = ""
    required: bool = True
    default: Any = None
    choices: tuple[Any, ...] = ()
    item: str = "any"
    help: str = ""
    optional: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.annotation or "any",
            "required": self.required,
            "default": self.default,
            "choices": list(self.choices),
            "help": self.help,
        }


@dataclass(frozen=True, slots=True)
class Skill:
    """
    What is known of one skill without running it.

    Attributes:
        name: What people call it: the function's name.
        file: Where it stands.
        line: Of its `def`.
        source: Which plugin brought it.
        sha256: Of the file as it was read.
        summary: First line of the docstring.
        options: What the mark asks for.
        takes_any: Whether it has `**kwargs`.
    """

    name: str
    file: Path
    line: int
    source: str
    sha256: str
    summary: str = ""
    doc: str = ""
    parameters: tuple[Parameter, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    takes_any: bool = False

    @property
    def permissions(self) -> dict[str, Any]:
        """What it asks to read, write, reach, unlock and start; nothing where it asks for none."""
        names = ("reads", "writes", "reaches", "keys", "programs")
        return {name: self.options[name] for name in names if self.options.get(name)}

    @property
    def on(self) -> tuple[str, ...]:
        """The subjects of the message bus that it hears, each once."""
        named = self.options.get("on", ())
        return tuple(dict.fromkeys((named,) if isinstance(named, str) else named))

    @property
    def message_parameter(self) -> Parameter | None:
        """The one that a message of the bus is handed to; None where it has none to take it."""
        return next((p for p in self.parameters if p.name not in MESSAGE_FACTS), None)

    @property
    def timeout_s(self) -> float | None:
        timeout = self.options.get("timeout")
        return None if timeout is None else seconds(timeout, "timeout")

    @property
    def memory_bytes(self) -> int | None:
        memory = self.options.get("memory")
        return None if memory is None else size_bytes(memory, "memory")

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "summary": self.summary,
            "source": self.source,
            "file": str(self.file),
            "line": self.line,
            "parameters": [parameter.as_dict() for parameter in self.parameters],
            "permissions": self.permissions,
            "on": list(self.on),
            "timeout_s": self.timeout_s,
            "memory_bytes": self.memory_bytes,
        }


def read_skills(file: Path, source: str) -> list[Skill]:
    """
    Return the skills in *file*.

    Raises:
        UnreadableSkill: The file cannot be read or parsed, or a mark in it asks for what does not
            exist.
    """
    try:
        code = file.read_bytes()
    except OSError as error:
        raise UnreadableSkill(f"{file.name}: {error.strerror}") from None
    if b"skill" not in code:
        return []
    digest = hashlib.sha256(code).hexdigest()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are for the run; the list is not the place
            tree = ast.parse(code, filename=str(file))
        marked = _marked(tree, _names_of_the_mark(tree))
        return [_read_skill(node, mark, file, source, digest) for node, mark in marked]
    except SyntaxError as error:
        raise UnreadableSkill(f"{file.name}:{error.lineno}: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise UnreadableSkill(f"{file.name}: nested too deeply") from None
    except ValueError as error:
        raise UnreadableSkill(f"{file.name}: {error}") from None


def _names_of_the_mark(tree: ast.Module) -> set[str]:
    """What `skill` is called in this file: `from dino_os import skill as s` makes it `s`."""
    names = set()
    for node in _of_the_module(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module in {"dino_os", "dino_os.skill"}:
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "skill"}
        elif isinstance(node, ast.Import):
            names |= {
                f"{alias.asname or alias.name}.skill"
                for alias in node.names
                if alias.name == "dino_os"
            }
    return names


def _of_the_module(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that the import runs: no function's, and of no expression what is in it."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "handlers", "cases", "orelse", "finalbody"):
                yield from _of_the_module(getattr(node, name, []))


def _marked(
    tree: ast.Module, marks: set[str]
) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(called) in marks:
                    yield node, decorator
                    break


def _read_skill(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    mark: ast.expr,
    file: Path,
    source: str,
    digest: str,
) -> Skill:
    # Half a surrogate pair, which an escape can write, is no text that could be shown.
    doc = (ast.get_docstring(node) or "").encode(errors="replace").decode()
    try:
        options = _read_options(mark)
        skill = Skill(
            name=node.name,
            file=file,
            line=node.lineno,
            source=source,
            sha256=digest,
            summary=doc.partition("\n")[0].strip(),
            doc=doc,
            parameters=tuple(_read_parameters(node.args, _argument_help(doc))),
            options=options,
            takes_any=node.args.kwarg is not None,
        )
        _ = skill.timeout_s, skill.memory_bytes  # read now, so that a bad one shows in the list
        _check_subscriber(skill)
    except (InvalidInput, UnreadableSkill) as error:
        raise UnreadableSkill(f"{file.name}:{node.lineno}: {node.name}: {error}") from None
    return skill


def _check_subscriber(skill: Skill) -> None:
    if skill.on and len(skill.name) > _LONGEST_SUBSCRIBER:
        raise UnreadableSkill(
            f"a skill that hears messages has a name of at most {_LONGEST_SUBSCRIBER} characters"
        )
    for subject in skill.on:
        check_subject(subject)
    given = {*MESSAGE_FACTS, skill.message_parameter and skill.message_parameter.name}
    if skill.on and (
        missing := [p for p in skill.parameters if p.required and p.name not in given]
    ):
        raise UnreadableSkill(
            f"no message of the bus brings its parameter {missing[0].name!r} along: "
            "it needs a default"
        )


def _read_options(mark: ast.expr) -> dict[str, Any]:
    if not isinstance(mark, ast.Call):
        return {}
    if mark.args:
        raise UnreadableSkill(f"@skill takes its options by name, found {ast.unparse(mark)}")
    options = {}
    for keyword in mark.keywords:
        if keyword.arg not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise UnreadableSkill(f"@skill has no option {keyword.arg!r} (it has {known})")
        try:
            value = ast.literal_eval(keyword.value)
        except (ValueError, TypeError):
            raise UnreadableSkill(f"@skill({keyword.arg}=…) must be a literal") from None
        if not isinstance(value, _OPTIONS[keyword.arg]):
            wanted = " or ".join(kind.__name__ for kind in _OPTIONS[keyword.arg])
            raise UnreadableSkill(f"@skill({keyword.arg}=…) must be {wanted}, found {value!r}")
        if isinstance(value, list | tuple | dict) and not all(isinstance(v, str) for v in value):
            raise UnreadableSkill(f"@skill({keyword.arg}=…) must hold texts, found {value!r}")
        options[keyword.arg] = value
    return options


def _read_parameters(arguments: ast.arguments, helps: dict[str, str]) -> Iterator[Parameter]:
    positional = [*arguments.posonlyargs, *arguments.args]
    padding: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    named = [*zip(positional, [*padding, *arguments.defaults], strict=True)]
    named += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for argument, default in named:
        kind, choices, item, optional = _kind(argument.annotation)
        yield Parameter(
            name=argument.arg,
            kind=kind,
            annotation=ast.unparse(argument.annotation) if argument.annotation else "",
            required=default is None,
            default=_literal(default) if default is not None else None,
            choices=choices,
            item=item,
            help=helps.get(argument.arg, ""),
            optional=optional,
        )


def _kind(annotation: ast.expr | None) -> tuple[str, tuple[Any, ...], str, bool]:
    """Kind, choices, kind of a list's items, and whether None is allowed."""
    match annotation:
        case ast.Constant(value=str(text)):
            with contextlib.suppress(SyntaxError, ValueError):  # Python never reads it either
                return _kind(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=ast.Constant(value=None), op=ast.BitOr(), right=named):
            return *_kind(named)[:3], True
        case ast.BinOp(left=named, op=ast.BitOr(), right=ast.Constant(value=None)):
            return *_kind(named)[:3], True
        case ast.Subscript(value=outer, slice=inner):
            return _generic_kind(ast.unparse(outer).rpartition(".")[2], inner)
        case ast.Name() | ast.Attribute():
            name = ast.unparse(annotation).rpartition(".")[2]
            return (name if name in _SIMPLE else "any"), (), "any", False
    return "any", (), "any", False


def _generic_kind(outer: str, inner: ast.expr) -> tuple[str, tuple[Any, ...], str, bool]:
    if outer == "Literal":
        values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        return "choice", tuple(_literal(value) for value in values), "any", False
    if outer == "Optional":
        return *_kind(inner)[:3], True
    if outer in {"list", "List", "Sequence", "Iterable"}:
        item, choices, *_ = _kind(inner)
        return "list", choices, item, False
    if outer in {"dict", "Dict", "Mapping"}:
        return "dict", (), "any", False
    return "any", (), "any", False


def _literal(node: ast.expr) -> Any:
    """The value of a literal that JSON can hold; of anything else its source text."""
    try:
        value = ast.literal_eval(node)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError):
        return ast.unparse(node)
    return value


def _argument_help(doc: str) -> dict[str, str]:
    """Parameter → first line of what the docstring's Args section says of it."""
    _, _, section = doc.partition("Args:\n")
    helps: dict[str, str] = {}
    for line in section.splitlines():
        if line.strip() and not line.startswith(" "):
            break
        if match := _argument_line.match(line):
            helps.setdefault(match[1], match[2].strip())
    return helps
