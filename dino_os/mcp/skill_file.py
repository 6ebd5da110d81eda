"""
The skill file that stands for a server: one function a tool, and what they were made from.

The file is all there is: where the server is, what it may, and what it said of its tools stand in
it as literals, and the functions follow from those.  A grant is for this very text, so what was
pinned is what was granted.  All that the server says goes in as literals of Python.
"""

from __future__ import annotations

import ast
import keyword
import pprint
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dino_os.errors import InvalidInput, SkillConflict
from dino_os.grants import Permissions
from dino_os.mcp.pins import Told, pin
from dino_os.said import docstring, said

_HEAD = '''"""
Tools of the MCP server {name!r}, made by `dino mcp add`; `dino mcp refresh {name}` makes them anew.

What stands here of a tool its server says; nobody has checked it.
"""

from typing import Any, Literal

from dino_os import skill
from dino_os.mcp import inside as _mcp
'''
_name_fits = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*").fullmatch
_identifier_fits = re.compile(r"[A-Za-z][A-Za-z0-9_]*").fullmatch
_LONGEST_NAME, _LONGEST_TOOL = 30, 64
_LONGEST_HELP = 200
_MOST_CHOICES = 50
# What annotations and bodies of the functions mean by a name, no parameter may be called.
_OURS = frozenset({"SERVER", "Any", "Literal", "dict", "list", "str", "int", "float", "bool"})
_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "object": "dict[str, Any]",
}


@dataclass(frozen=True, slots=True)
class Server:
    """
    A server, and what its skills ask for.

    Attributes:
        command: The program that is started, and its arguments; or
        url: where it is.
        token_key: Name of the key that is sent to *url* as a bearer token.
        keys: Variable of the program → name of the key that it holds.
        timeout: Of each call.
        memory: Of each call; "" is the usual.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    token_key: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reaches: tuple[str, ...] = ()
    timeout: str = "60s"
    memory: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """What is asked for in each mark."""
        keys = sorted({*self.keys.values(), *([self.token_key] if self.token_key else [])})
        asked: dict[str, Any] = {
            "reads": list(self.reads),
            "writes": list(self.writes),
            "reaches": list(self.reaches),
            "keys": keys,
            "programs": bool(self.command),
            "timeout": self.timeout,
            "memory": self.memory,
        }
        return {name: value for name, value in asked.items() if value}

    @property
    def permissions(self) -> Permissions:
        return Permissions.of(self.options)

    @property
    def lists(self) -> str:
        """The skill that asks it what it offers, which is in no file that is listed."""
        return f"mcp_{self.name}"


def check_name(name: str) -> str:
    """
    Raises:
        InvalidInput: No skills can be named after it.
    """
    if len(name) > _LONGEST_NAME or not _name_fits(name) or keyword.iskeyword(name):
        raise InvalidInput(
            f"not a name for a server: {name[:60]!r}",
            hint="small letters and digits, joined by single underscores: files, my_notes",
        )
    return name


def path_of(skills: Path, name: str) -> Path:
    return skills / f"mcp_{check_name(name)}.py"


def asking_text(server: Server) -> str:
    """A file of the one skill that asks *server* what it offers; the same as long as that is."""
    said = f"List what the MCP server {server.name!r} offers now."
    function = (
        f"{_mark(server)}def {server.lists}() -> list[dict[str, Any]]:\n"
        f"    {said!r}\n    return _mcp.tools(SERVER)\n"
    )
    own = f"SERVER = {_literal(asdict(server))}\n"
    return "\n\n".join([_HEAD.format(name=server.name), own, function])


def text_of(server: Server, tools: Sequence[Told]) -> str:
    """
    The skill file of *server* and its *tools*.

    Raises:
        SkillConflict: Two tools would be one skill.
        InvalidInput: A tool has no name.
    """
    called: dict[str, str] = {}
    parts = [_HEAD.format(name=server.name), f"SERVER = {_literal(asdict(server))}\n"]
    parts.append(f"TOOLS = {_literal([*tools])}\n")
    for tool in tools:
        name = skill_name(server.name, tool)
        if name in called:
            raise SkillConflict(
                f"the tools {called[name]!r} and {tool['name']!r} would both be the skill {name!r}",
                hint="none of its tools was imported",
            )
        called[name] = tool["name"]
        parts.append(_function(server, name, tool))
    return "\n\n".join(parts)


def read(path: Path) -> tuple[Server, list[Told]]:
    """
    The server and the tools that the file at *path* was made from; it is not run.

    Raises:
        InvalidInput: It is none of these files, or was changed since.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.parse(text).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        fields = found["SERVER"]
        for name in ("command", "reads", "writes", "reaches"):
            fields[name] = tuple(fields[name])
        server, tools = Server(**fields), found["TOOLS"]
        same = text_of(server, tools) == text
    except FileNotFoundError:
        raise InvalidInput(f"{path.name}: no such server", hint="`dino mcp list`") from None
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        SyntaxError,
        RecursionError,
    ):
        same = False
    if not same:
        raise InvalidInput(
            f"{path.name} is not as it was made",
            hint="`dino mcp remove` and `dino mcp add` make it anew",
        )
    return server, tools


def skill_name(server: str, tool: Told) -> str:
    """
    What the skill of *tool* is called.

    Raises:
        InvalidInput: The tool's name is none.
    """
    name = tool.get("name")
    if not isinstance(name, str) or not name.isascii() or len(name) > _LONGEST_TOOL:
        raise InvalidInput(f"a tool of {server!r} has no name that a skill could have")
    plain = re.sub(r"\W", "_", name).strip("_")
    if not plain:
        raise InvalidInput(f"a tool of {server!r} has no name that a skill could have")
    return f"{server}__{plain}"


# --- functions ---------------------------------------------------------------------------------


def _function(server: Server, name: str, tool: Told) -> str:
    schema = tool.get("inputSchema")
    takes = _parameters(schema if isinstance(schema, dict) else {})
    if takes is None:  # its names are none in Python: they come as they are
        return (
            f"{_mark(server)}def {name}(arguments: dict[str, Any]) -> Any:\n"
            f"    {_docstring(server, tool, {'arguments': 'By name, as the tool takes them.'})!r}\n"
            f"    return _mcp.call(SERVER, {tool['name']!r}, {pin(tool)!r}, arguments)\n"
        )
    needed = [f"{one}: {kind}" for one, (kind, required, _) in takes.items() if required]
    others = [
        f"{one}: {kind} | None = None" for one, (kind, required, _) in takes.items() if not required
    ]
    passed = [f"{one!r}: {one}" for one, (_, required, _) in takes.items() if required]
    left = [f"{one}={one}" for one, (_, required, _) in takes.items() if not required]
    arguments = ", ".join([*passed, f"**_mcp.given({', '.join(left)})"] if left else passed)
    helps = {one: said for one, (_, _, said) in takes.items() if said}
    return (
        f"{_mark(server)}def {name}({', '.join([*needed, *others])}) -> Any:\n"
        f"    {_docstring(server, tool, helps)!r}\n"
        f"    return _mcp.call(SERVER, {tool['name']!r}, {pin(tool)!r}, {{{arguments}}})\n"
    )


def _mark(server: Server) -> str:
    return f"@skill({', '.join(f'{name}={value!r}' for name, value in server.options.items())})\n"


def _parameters(schema: Mapping[str, Any]) -> dict[str, tuple[str, bool, str]] | None:
    """Name → annotation, whether it is required, what is said of it; None where a name is none."""
    properties = schema.get("properties")
    if properties is not None and not isinstance(properties, dict):
        return None
    required = schema.get("required")
    named = required if isinstance(required, list) else []
    found = {}
    for name, told in (properties or {}).items():
        fits = len(name) <= _LONGEST_TOOL and _identifier_fits(name)
        if not fits or keyword.iskeyword(name) or name in _OURS:
            return None
        facts = told if isinstance(told, dict) else {}
        found[name] = (
            _annotation(facts),
            name in named,
            said(facts.get("description"), _LONGEST_HELP),
        )
    return None if set(named) - found.keys() else found


def _annotation(schema: Mapping[str, Any]) -> str:
    options = schema.get("anyOf")
    if isinstance(options, list):  # X | null, as many libraries write what may be left out
        named = [one for one in options if isinstance(one, dict) and one.get("type") != "null"]
        return _annotation(named[0]) if len(named) == 1 else "Any"
    choices = schema.get("enum")
    if isinstance(choices, list):
        fit = 0 < len(choices) <= _MOST_CHOICES and all(isinstance(c, str) for c in choices)
        return f"Literal[{', '.join(map(repr, choices))}]" if fit else "Any"
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items")
        return f"list[{_annotation(items)}]" if isinstance(items, dict) else "list[Any]"
    return _TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"


def _docstring(server: Server, tool: Told, helps: dict[str, str]) -> str:
    called = said(tool["name"], _LONGEST_TOOL)
    introduction = f"Call {called} of the MCP server {server.name}, which says of it"
    return docstring(introduction, tool.get("description"), helps)


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=100, sort_dicts=False)
