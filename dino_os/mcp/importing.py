"""
Servers of others: added, asked again, removed.

A server is asked what it offers as a skill is run: in the sandbox, with what the operator said that
it may, on the record.  What it answers becomes the text of skills, which are granted as any other.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.errors import Denied, DinoError, InvalidInput, NotFound, SkillFailed
from dino_os.grants import check
from dino_os.made_skills import check_made, take_back
from dino_os.mcp import skill_file
from dino_os.mcp.pins import Told
from dino_os.mcp.skill_file import Server
from dino_os.skill_index import Skill, read_skills
from dino_os.units import seconds, size_bytes
from engines.durable import make_folder, replace_file

if TYPE_CHECKING:
    from dino_os.runner import Run
    from dino_os.workspace import Workspace

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def at_url(url: str) -> str:
    """
    What has to be reached for *url*, as `reaches` has it.

    Raises:
        InvalidInput: It is no address.
    """
    from dino_os.tool_sandbox.egress.hosts import authority  # noqa: PLC0415  where one is added
    from dino_os.web_calls import checked_url  # noqa: PLC0415  as above

    parts = checked_url(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return authority(host, port)


class Servers:
    """The servers whose tools are skills of *workspace*."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def names(self) -> list[str]:
        found = self._workspace.skills_folder.glob("mcp_*.py")
        return sorted(path.stem.removeprefix("mcp_") for path in found)

    def all(self) -> Iterator[tuple[str, Server | None, list[Told]]]:
        """Each by name; without a server where its file is not as it was made."""
        for name in self.names():
            try:
                yield name, *self.find(name)
            except InvalidInput:
                yield name, None, []

    def find(self, name: str) -> tuple[Server, list[Told]]:
        """
        Raises:
            NotFound: There is none of that name.
            InvalidInput: Its file is not as it was made.
        """
        if name not in self.names():
            raise NotFound(f"no MCP server {name!r}", hint="`dino mcp list` shows those there are")
        return skill_file.read(self._path(name))

    def add(self, server: Server) -> list[Told]:
        """
        Ask *server* what it offers, and make skills of that.

        Raises:
            InvalidInput: The name is taken, or the server cannot be asked that way.
            SkillFailed: It gives no answer.
        """
        _check(server)
        if self._path(server.name).exists():
            raise InvalidInput(
                f"there is an MCP server {server.name!r}", hint=f"dino mcp refresh {server.name}"
            )
        try:
            tools = self.ask(server, grant=True)
            self.keep(server, tools)
        except BaseException:
            with suppress(DinoError):  # it was not granted yet, or cannot be recorded
                self._workspace.admission.revoke(server.lists, by=self._workspace.operator)
            raise
        return tools

    def ask(self, server: Server, *, grant: bool = False) -> list[Told]:
        """
        What it offers now.

        Args:
            grant: Whether the operator says just now that it may what it asks for.

        Raises:
            Denied: He never did, for a server that is started or found as this one is.
            SkillFailed: It gives no answer.
        """
        admission = self._workspace.admission
        with tempfile.TemporaryDirectory() as folder:
            # Alone, so that nothing of what was imported before is run.
            path = Path(folder) / f"{server.lists}.py"
            path.write_text(skill_file.asking_text(server), encoding="utf-8")
            (skill,) = read_skills(path, "mcp")
            if grant:
                admission.grant(skill, by=self._workspace.operator)
            elif not admission.covers(admission.request(skill)[0]):
                raise Denied(
                    f"the MCP server {server.name!r} was not allowed here what it asks for",
                    hint="`dino mcp remove` and `dino mcp add` make it anew",
                )
            tools = _answer(self._workspace.runner.run(skill, {}))
        try:
            skill_file.text_of(server, tools)
        except DinoError:
            raise
        # The server may have written to the process that asked it.
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
            why = f"what the MCP server {server.name!r} says of its tools is nothing of the kind"
            raise SkillFailed(why) from None
        return list(tools)

    def keep(self, server: Server, tools: Sequence[Told]) -> None:
        """Make skills of *tools*; those that stood for the server before are no more."""
        folder = self._workspace.skills_folder
        make_folder(folder)
        path = self._path(server.name)
        text = skill_file.text_of(server, tools)
        check_made(self._workspace, path, text)
        replace_file(path, text.encode())

    def grant(self, name: str) -> list[str]:
        """Grant each skill of the server what it asks for, in this version."""
        admission, by = self._workspace.admission, self._workspace.operator
        skills = self.skills(name)
        for skill in skills:
            admission.grant(skill, by=by)
        return [skill.name for skill in skills]

    def skills(self, name: str) -> list[Skill]:
        return read_skills(self._path(name), "workspace")

    def remove(self, name: str) -> None:
        """Remove its skills, and what they were granted."""
        if name not in self.names():
            raise NotFound(f"no MCP server {name!r}", hint="`dino mcp list` shows those there are")
        others = {
            skill.name
            for skill in self._workspace.plugins.skills()
            if skill.file != self._path(name)
        }
        granted = [skill for skill in self._workspace.admission.all() if skill not in others]
        own = [s for s in granted if s == f"mcp_{name}" or s.startswith(f"{name}__")]
        take_back(self._workspace, own)
        self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return skill_file.path_of(self._workspace.skills_folder, name)


def found_program(command: Sequence[str]) -> tuple[str, ...]:
    """
    *command* with the program by its path, which the sandbox's own PATH may not have.

    Raises:
        InvalidInput: There is no such program.
    """
    program = shutil.which(command[0])
    if program is None:
        raise InvalidInput(f"no program {command[0]!r}")
    return (str(Path(program).absolute()), *command[1:])


def _answer(run: Run) -> Any:
    """What a server says; where it fails, with the last that it wrote to the terminal."""
    if run.outcome != "error":
        return run.check().result
    said = [f"; it said: {line[:300]}" for line in run.output.strip().splitlines()[-1:]]
    text = f"{run.error.get('message')}{''.join(said)}"
    raise SkillFailed(text, hint=run.error.get("hint"))


def _check(server: Server) -> None:
    skill_file.check_name(server.name)
    check(server.permissions)
    seconds(server.timeout, "--timeout")
    if server.memory:
        size_bytes(server.memory, "--memory")
    if server.token_key and server.url.startswith("http:"):
        host = server.reaches[0].rpartition(":")[0].strip("[]")
        if host not in _LOOPBACK:
            raise InvalidInput("a token would go in clear to another machine", hint="use https://")
