"""
The file that `dino cycle run` goes by: what is read, on which places it is planned, who gets it.

Reading it checks all that can be checked without touching a source: forms, maps, addresses, the
skills that are named.  docs/planning.md shows it whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta
from msgspec import field as form_field

from dino_os.errors import InvalidInput, NotFound
from dino_os.outbox.addresses import Address
from dino_os.planning.assignments import check_params
from dino_os.planning.forms import (
    AgentForm,
    Desk,
    Form,
    Metadata,
    Misfit,
    Name,
    Options,
    OutboxForm,
    SectorForm,
    ZoneForm,
    as_json,
    at,
    build_address,
)
from dino_os.planning.scenario import (
    Scenario,
    build,
    build_all,
    build_staff,
    load_map,
    load_sectors,
    load_staff,
    load_zones,
)
from dino_os.planning.sources import shown_url
from dino_os.typed_files import Document, Step, load
from dino_os.units import seconds, size_bytes
from dino_os.web_calls import checked_headers, checked_url
from engines.personas import SignalMap

KINDS = ("file", "glob", "skill", "http", "alertmanager")
DONE = ("remember", "remember-records", "keep")
_MOVE = "move-to "
_FORMATS = {"csv": ".csv", "json": ".json", "jsonl": ".jsonl", "yaml": ".yaml"}
_MOST = Annotated[int, Meta(gt=0)]


@dataclass(frozen=True, slots=True)
class Web:
    """
    An address that is read.

    Attributes:
        headers: That are sent as they stand.
        keys: Header → (what stands before it, name of a key in the vault).
        ending: By which its records are read, as a file's; "" goes by the answer.
    """

    url: str
    headers: Mapping[str, str]
    keys: Mapping[str, tuple[str, str]]
    timeout_s: float
    most_bytes: int
    ending: str


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where records come from.

    Attributes:
        kind: file, glob, skill, http or alertmanager.
        where: A path, a pattern, a skill's name or a URL, as far as that is nobody's secret.
        done: What becomes of what was counted: remember, remember-records, keep or move.
        move_to: The folder, where it is move.
        within: Steps to the list of records in what a skill or an address gives.
        required: Whether without it there is no cycle.
    """

    name: str
    kind: str
    where: str
    map: SignalMap | None = None
    map_file: Path | None = None
    done: str = "remember"
    move_to: Path | None = None
    within: tuple[str, ...] = ()
    required: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    web: Web | None = None


@dataclass(frozen=True, slots=True)
class Cycle:
    """What is configured; paths in it are found from *folder*."""

    path: Path
    folder: Path
    scenario: Scenario
    sources: tuple[Source, ...]
    desks: Mapping[str, Desk]
    outbox: Address | None

    def desk_of(self, agent: str) -> Desk:
        """Where *agent* gets what is assigned, the file's own outbox included."""
        desk = self.desks[agent]
        return desk if desk.skill or desk.outbox else Desk(outbox=self.outbox)

    @property
    def uses_keys(self) -> bool:
        """Whether a source or a webhook needs a key from the vault."""
        outboxes = [self.outbox, *(desk.outbox for desk in self.desks.values())]
        sending = any(outbox and outbox.keys for outbox in outboxes)
        return sending or any(source.web and source.web.keys for source in self.sources)


class KeyForm(Form):
    key: Name
    prefix: str = ""


class HttpForm(Form):
    url: Name
    headers: dict[str, str] = form_field(default_factory=dict)
    keys: dict[str, Name | KeyForm] = form_field(default_factory=dict)
    timeout: str | float = "10s"
    most: str | float = "16MB"
    format: Name | None = None

    def build(self) -> Web:
        for name, check in (("url", lambda: checked_url(self.url)), ("headers", self._headers)):
            with at(name):
                check()
        with at("timeout"):
            timeout_s = seconds(self.timeout, "a time limit")
        with at("most"):
            most_bytes = size_bytes(self.most, "a size limit")
        if self.format is not None and self.format not in _FORMATS:
            raise Misfit(("format",), f"expected one of {', '.join(_FORMATS)}")
        keys = {
            header: (form.prefix, form.key) if isinstance(form, KeyForm) else ("", form)
            for header, form in self.keys.items()
        }
        ending = _FORMATS.get(self.format or "", "")
        return Web(self.url, self.headers, keys, timeout_s, most_bytes, ending)

    def _headers(self) -> None:
        checked_headers({**self.headers, **dict.fromkeys(self.keys, "x")})


class SourceForm(Form):
    name: Name | None = None
    file: Name | None = None
    glob: Name | None = None
    skill: Name | None = None
    http: Name | HttpForm | None = None
    alertmanager: Name | None = None
    map: Name | None = None
    done: Name = "remember"
    at: Name | None = None
    params: Metadata | None = None
    required: bool = False

    @property
    def kinds(self) -> list[str]:
        return [kind for kind in KINDS if getattr(self, kind) is not None]

    def build(self) -> Source:
        if len(self.kinds) != 1:
            found = " and ".join(self.kinds) or "none of them"
            raise InvalidInput(f"a source is one of {', '.join(KINDS)}, found {found}")
        (kind,) = self.kinds
        self._refuse_unfit(kind)
        form = HttpForm(url=self.http) if isinstance(self.http, str) else self.http
        web = None
        if form:
            with at("http"):
                web = form.build()
        with at("params"):
            params = as_json(self.params or {})
        done, move_to = self._done(kind)
        where = shown_url(web.url) if web else str(getattr(self, kind))
        return Source(
            name=self.name or where,
            kind=kind,
            where=where,
            done=done,
            move_to=move_to,
            within=tuple(self.at.split(".")) if self.at else (),
            required=self.required,
            params=params,
            web=web,
        )

    def _refuse_unfit(self, kind: str) -> None:
        if self.params is not None and kind != "skill":
            raise Misfit(("params",), "params belong to a skill")
        if self.at is not None and kind not in {"skill", "http"}:
            raise Misfit(("at",), "`at` leads into what a skill or an address gives")
        if self.map is None and kind == "alertmanager":
            raise Misfit(("map",), "alerts need a map that says what their labels mean")

    def _done(self, kind: str) -> tuple[str, Path | None]:
        if self.done.startswith(_MOVE) and self.done.removeprefix(_MOVE).strip():
            if kind not in {"file", "glob", "alertmanager"}:
                raise Misfit(("done",), f"what {kind} gives cannot be moved")
            return "move", Path(self.done.removeprefix(_MOVE).strip())
        if self.done not in DONE:
            raise Misfit(("done",), f"expected {', '.join(DONE)} or move-to FOLDER")
        if self.done == "remember-records" and self.map is None:
            raise Misfit(("done",), "records are remembered by the identifier that a map gives")
        return self.done, None


class CycleForm(Form):
    """Zones, sectors, agents and options are those of a scenario."""

    sources: Annotated[list[SourceForm], Meta(min_length=1)]
    name: Name = "cycle"
    zones: Name | list[ZoneForm] = form_field(default_factory=list)
    sectors: Name | list[SectorForm] = form_field(default_factory=list)
    agents: Name | list[AgentForm] = form_field(default_factory=list)
    options: Options = form_field(default_factory=Options)
    outbox: Name | OutboxForm | None = None


def load_cycle(path: Path, skill: Callable[[str], Any]) -> Cycle:
    """
    Read a cycle file and the files it names, which are found beside it.

    Args:
        skill: Finds a skill by its name.

    Raises:
        NotFound: There is no such file.
        InvalidInput: Something in one of them is wrong; says where.
    """
    if not path.exists():
        raise NotFound(
            f"{path}: no such file",
            hint="docs/planning.md shows a cycle file; `planning.cycle` says where it lies",
        )
    form, document = load(path, CycleForm)
    beside = path.parent
    zones, sectors = form.zones, form.sectors
    staff = (
        load_staff(beside / form.agents)
        if isinstance(form.agents, str)
        else build_staff(form.agents, document, ("agents",))
    )
    scenario = Scenario(
        name=form.name,
        zones=tuple(
            load_zones(beside / zones)
            if isinstance(zones, str)
            else build_all(zones, document, ("zones",))
        ),
        sectors=tuple(
            load_sectors(beside / sectors)
            if isinstance(sectors, str)
            else build_all(sectors, document, ("sectors",))
        ),
        agents=tuple(agent for agent, _ in staff),
        options=form.options,
    )
    cycle = Cycle(
        path=path,
        folder=beside,
        scenario=scenario,
        sources=_sources(form.sources, document, beside),
        desks={agent.name: desk for agent, desk in staff},
        outbox=build(lambda: build_address(form.outbox, "outbox"), document, ()),
    )
    _check_skills(cycle, document, skill)
    return cycle


def _sources(forms: list[SourceForm], document: Document, beside: Path) -> tuple[Source, ...]:
    sources: list[Source] = []
    for source, form in zip(build_all(forms, document, ("sources",)), forms, strict=True):
        _refuse_in_place(source, document, ("sources", len(sources), "done"), beside)
        if form.map is None:
            sources.append(source)
            continue
        file = beside / form.map
        found = load_map(file)
        if source.done == "remember-records" and found.identifier is None:
            path: tuple[Step, ...] = ("sources", len(sources), "done")
            raise document.error(path, f"{file} gives records no identifier to remember")
        sources.append(replace(source, map=found, map_file=file))
    return tuple(sources)


def _refuse_in_place(
    source: Source, document: Document, path: tuple[Step, ...], beside: Path
) -> None:
    """Files are not moved to where they are looked for."""
    if source.move_to is None:
        return
    where = beside / source.where
    looked_in = where if source.kind == "alertmanager" else where.parent
    # As text: one of them may be a pattern.
    if os.path.abspath(looked_in) == os.path.abspath(beside / source.move_to):  # noqa: PTH100
        raise document.error(path, f"{source.where!r} looks for files in {source.move_to} itself")


def _check_skills(cycle: Cycle, document: Document, skill: Callable[[str], Any]) -> None:
    """A skill that is not there, or does not fit, is found before anything is read."""
    for index, source in enumerate(cycle.sources):
        if source.kind == "skill":
            build(partial(skill, source.where), document, ("sources", index, "skill"))
    for name, desk in cycle.desks.items():
        if desk.skill:
            try:
                check_params(skill(desk.skill), desk)
            except InvalidInput as error:
                raise InvalidInput(f"agent {name!r}: {error.message}", hint=error.hint) from None
