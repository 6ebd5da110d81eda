"""`dino list` and `dino run`: the skills there are, and running one."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from dino_os.arguments import bind, from_text
from dino_os.commands import options, output
from dino_os.commands.grants import ask
from dino_os.commands.vault import open_vault
from dino_os.commands.workspace import open_workspace, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.grants import Permissions
from dino_os.plugins import SkillTable, places
from dino_os.skill_index import Parameter, Skill
from dino_os.workspace import Workspace
from engines.checks import from_epoch, rfc3339
from engines.checks import name as checked_name

if TYPE_CHECKING:
    from dino_os.run_once import Once
    from dino_os.runner import Run

_OWN_OPTIONS = frozenset({"params", "json", "timeout", "trace", "once_per", "key", "help"})


@click.command("list", epilog=options.example("dino list", "dino list --json"))
@options.as_json
@pass_workspace
def list_skills(workspace: Workspace, as_json: bool) -> None:
    """
    Show the skills there are, and the files and plugins that cannot be used.

    Nothing is run to find them: they are read from their source.
    """
    table = workspace.plugins.skills()
    if as_json:
        output.emit_json(
            {
                "skills": [skill.as_dict() for skill in table],
                "conflicts": {
                    name: [f"{skill.file}:{skill.line}" for skill in skills]
                    for name, skills in table.conflicts.items()
                },
                "quarantined": [item.as_dict() for item in table.quarantined],
            }
        )
        return
    skills = list(table)
    if skills:
        rows = [
            (s.name, _signature(s), s.summary, s.source, _permissions(s), ", ".join(s.on))
            for s in skills
        ]
        columns = ("skill", "parameters", "what it does", "source", "asks for", "hears")
        shown = len(columns) if any(s.on for s in skills) else len(columns) - 1
        output.table(columns[:shown], [row[:shown] for row in rows])
    else:
        output.say(
            f"no skills in {workspace.skills_folder}; see docs/skills.md for how to write one"
        )
    _show_problems(table)


def _show_problems(table: SkillTable) -> None:
    for name, skills in table.conflicts.items():
        output.say(f"\nconflict: {len(skills)} skills are named {name!r}: {places(skills)}")
    if table.quarantined:
        output.heading("\nQuarantined")
        output.table(("what", "why"), [(item.name, item.error) for item in table.quarantined])


def _signature(skill: Skill) -> str:
    def shown(parameter: Parameter) -> str:
        kind = f": {parameter.annotation}" if parameter.annotation else ""
        return f"{parameter.name}{kind}{'' if parameter.required else f' = {parameter.default!r}'}"

    return ", ".join(map(shown, skill.parameters))


def _permissions(skill: Skill) -> str:
    return "; ".join(Permissions.of(skill.options).words()) or "nothing"


class SkillGroup(click.Group):
    """A group whose commands are the workspace's skills, their options made from signatures."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [skill.name for skill in open_workspace(ctx).plugins.skills()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command_for(open_workspace(ctx).plugins.skills().find(cmd_name))


@click.group(
    "run",
    cls=SkillGroup,
    subcommand_metavar="SKILL [OPTIONS]",
    epilog=options.example(
        "dino run hello --name Ada", """dino run hello --params '{"name": "Ada"}' --json"""
    ),
)
def run() -> None:
    """
    Run a skill in the sandbox, with what it was granted, and record the run.

    `dino run SKILL --help` shows the options made from its signature.
    """


def _command_for(skill: Skill) -> click.Command:
    own = [
        click.Option(["--params"], metavar="JSON", help="All parameters as one JSON object."),
        click.Option(
            ["--timeout"], type=options.DURATION, help="Stop it after, for example, 30s or 5m."
        ),
        click.Option(
            ["--once-per"],
            type=options.DURATION,
            help="Not if it ended well less than, for example, 24h ago; for cron.",
        ),
        click.Option(["--key"], help="What --once-per goes by.  [default: skill and parameters]"),
        click.Option(["--trace"], is_flag=True, help="Where it fails, show the skill's traceback."),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON document on stdout."),
    ]
    named = [p for p in skill.parameters if p.name not in _OWN_OPTIONS]
    doc = skill.doc.partition("Args:")[0].strip()
    hidden = [p.name for p in skill.parameters if p.name in _OWN_OPTIONS]
    if hidden:
        doc += f"\n\nOnly through --params: {', '.join(hidden)}."
    return click.Command(
        skill.name,
        callback=click.pass_context(_Call(skill)),
        params=[*map(_option, named), *own],
        help=f"{doc}\n\nFrom {skill.file.name}; asks for {_permissions(skill)}.",
        epilog=options.example(_example(skill)),
    )


class _Call:
    """Runs one skill with what the command line gave."""

    __name__ = "call"

    def __init__(self, skill: Skill) -> None:
        self._skill = skill

    def __call__(
        self,
        ctx: click.Context,
        params: str | None,
        timeout: float | None,
        once_per: float | None,
        key: str | None,
        trace: bool,
        as_json: bool,
        **given: Any,
    ) -> None:
        skill = self._skill
        arguments = options.json_object(params, "--params")
        for name, value in given.items():
            if value is None or value == ():
                continue
            if name in arguments:
                raise InvalidInput(f"--{name} is in --params too; name it once")
            arguments[name] = _flat(value) if isinstance(value, tuple) else value
        arguments = bind(skill, arguments)
        workspace = open_workspace(ctx)
        if once_per is None:
            if key is not None:
                raise click.UsageError("--key goes with --once-per")
            self._run(workspace, arguments, timeout, trace=trace, as_json=as_json)
            return
        once = _once(workspace, skill, arguments, key, once_per)
        with once.turn() as last:
            if last is not None:
                _say_skipped(once.key, last, as_json=as_json)
                return
            run = self._run(workspace, arguments, timeout, trace=trace, as_json=as_json)
            once.count(run.run_id)

    def _run(
        self,
        workspace: Workspace,
        arguments: dict[str, Any],
        timeout_s: float | None,
        *,
        trace: bool,
        as_json: bool,
    ) -> Run:
        """Run it and show what came of it; raises where that was nothing good."""
        skill = self._skill
        ask_first(workspace, skill)
        if "keys" in skill.permissions:
            open_vault(workspace)
        finished = workspace.runner.run(
            skill,
            arguments,
            timeout_s=timeout_s,
            on_output=None if as_json else _pass_on,
            traceparent=os.environ.get("TRACEPARENT"),
        )
        if as_json:
            output.emit_json(finished.as_dict())
        elif finished.output_cut:
            click.echo(f"dino: {finished.output_cut:,} more bytes of output were dropped", err=True)
        if trace and finished.error.get("trace"):
            click.echo(output.printable("".join(finished.error["trace"])), err=True)
        result = finished.check().result
        if not as_json and result is not None:
            output.say(_shown(result))
        return finished


def _shown(result: Any) -> str:
    """What people see of it: a text, the `report` of an object that has one, or else JSON."""
    told = result.get("report") if isinstance(result, dict) else result
    return told if isinstance(told, str) else json.dumps(result, ensure_ascii=False, indent=2)


def _once(
    workspace: Workspace,
    skill: Skill,
    arguments: dict[str, Any],
    key: str | None,
    within_s: float,
) -> Once:
    from dino_os.run_once import Once  # noqa: PLC0415

    by_itself = f"{skill.name} {json.dumps(arguments, sort_keys=True)}"
    named = by_itself if key is None else checked_name(key, "--key")
    return Once(workspace.run_ledger, workspace.memory, named, within_s, by=workspace.operator)


def _say_skipped(key: str, last: float, *, as_json: bool) -> None:
    when = rfc3339(from_epoch(round(last)))
    document = {"outcome": "ok_no_action", "key": key, "last_run": when}
    output.answer(document, f"not run: it ended well at {when}", as_json=as_json)


def ask_first(workspace: Workspace, skill: Skill) -> None:
    """On a terminal, ask for what a skill was not granted yet; elsewhere nobody can answer."""
    if not (skill.permissions and sys.stdin.isatty() and sys.stderr.isatty()):
        return
    admission = workspace.admission
    request, _ = admission.request(skill)
    if admission.covers(request) or not ask(request):
        return  # where it was refused, the run says so, and the record too
    admission.grant(skill, by=workspace.operator)


def _flat(values: tuple[Any, ...]) -> list[Any]:
    """`--tag a --tag b` and `--tag '["a", "b"]'` mean the same."""
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _pass_on(data: bytes) -> None:
    """What a skill prints, as it comes; it cannot reach the terminal's controls."""
    sys.stdout.write(output.printable(data.decode("utf-8", "replace")))
    sys.stdout.flush()


class _Value(click.ParamType[Any]):
    """Text of the command line as what the parameter's annotation asks for."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter
        self.name = parameter.annotation or "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        del param, ctx
        return from_text(self._parameter, value) if isinstance(value, str) else value  # a default

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        del ctx, param
        item = click.shell_completion.CompletionItem
        if self._parameter.kind == "Path":
            return [item(incomplete, type="file")]
        choices = map(str, self._parameter.choices)
        return [item(choice) for choice in choices if choice.startswith(incomplete)]


def _option(parameter: Parameter) -> click.Option:
    name = parameter.name.replace("_", "-")
    notes = [parameter.help] if parameter.help else []
    if parameter.choices:
        notes.append(f"One of {', '.join(map(str, parameter.choices))}.")
    if parameter.kind == "list":
        notes.append("May be given several times.")
    notes.append("[required]" if parameter.required else f"[default: {parameter.default}]")
    help_text = "  ".join(notes)
    if parameter.kind == "bool":
        return click.Option([f"--{name}/--no-{name}", parameter.name], default=None, help=help_text)
    return click.Option(
        [f"--{name}", parameter.name],
        type=_Value(parameter),
        multiple=parameter.kind == "list",
        metavar=_metavar(parameter),
        help=help_text,
    )


def _metavar(parameter: Parameter) -> str:
    words = {"choice": "CHOICE", "list": "ITEM", "dict": "JSON", "any": "VALUE", "str": "TEXT"}
    return words.get(parameter.kind, parameter.kind.upper())


def _example(skill: Skill) -> str:
    needed = [p for p in skill.parameters if p.required and p.name not in _OWN_OPTIONS]
    options_shown = " ".join(
        f"--{p.name.replace('_', '-')} {p.choices[0] if p.choices else '…'}" for p in needed
    )
    return f"dino run {skill.name} {options_shown}".rstrip()
