"""
The forms of the files that plan-cycle reads (docs/planning.md shows each with an example).

Numbers are held to their scales here, where a line can be named; the engines clamp.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field, structs, to_builtins

from dino_os.errors import InvalidInput
from dino_os.outbox.addresses import Address
from dino_os.planning.sources import as_text
from dino_os.typed_files import Step
from engines.assign import AgentProfile
from engines.journal import VolatileJournal
from engines.personas import (
    FieldRule,
    PersonaSignal,
    PositionRule,
    SignalMap,
    TimeRule,
    template_parts,
)
from engines.space import SpaceSector
from engines.zone import Zone

Name = Annotated[str, Meta(min_length=1, pattern=r"\S")]
Share = Annotated[float, Meta(ge=0, le=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Words = list[Name]
Metadata = dict[str | int | float | bool, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """
    Where an agent's work is handed over.

    Attributes:
        skill: Of a skill-agent: what is run for each assignment.
        params: For it, the same each time.
        outbox: Of another; None where nothing is said.
    """

    skill: str | None = None
    params: Mapping[str, Any] = dataclass_field(default_factory=dict)
    outbox: Address | None = None


class Misfit(InvalidInput):
    """What was built from a form says no; *path* leads from the form to the part that it means."""

    def __init__(self, path: tuple[Step, ...], message: str) -> None:
        self.path = path
        super().__init__(message)


class Form(Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of a file; what it does not know is an error."""

    def given(self) -> dict[str, Any]:
        """The fields that the file has."""
        fields = {name: value for name, value in structs.asdict(self).items() if value is not UNSET}
        if fields.get("metadata"):
            with at("metadata"):
                fields["metadata"] = as_json(fields["metadata"])
        return fields


class BoundaryForm(Form):
    min_x: float
    max_x: float
    min_y: float
    max_y: float
    min_z: float = 0.0
    max_z: float = 0.0
    coordinate_system: Name = "cartesian"


class ZoneForm(Form):
    name: Name
    boundary: BoundaryForm
    capacity: Annotated[int, Meta(ge=0)] = 1
    sensitivity: Share = 0.5
    tags: Words = []
    metadata: Metadata | None = None

    def build(self) -> Zone:
        return Zone(**{**self.given(), "boundary": self.boundary.given(), "tags": tuple(self.tags)})


class BodyForm(Form):
    name: Name
    kind: Name
    mass_kg: NotNegative = 0.0
    velocity_kms: float = 0.0
    resource_index: Share = 0.5
    habitability: Share = 0.0
    tags: Words = []


class RouteForm(Form):
    identifier: Name
    origin: Name
    destination: Name
    delta_v_kms: NotNegative = 0.0
    congestion: Share = 0.0
    stability: Share = 1.0


class SectorForm(Form):
    name: Name
    bodies: list[BodyForm] = []
    routes: list[RouteForm] = []
    hazard_index: Share = 0.25
    supply_level: Share = 0.6
    energy_output_gw: NotNegative = 0.0
    metadata: Metadata | None = None

    def build(self) -> SpaceSector:
        return SpaceSector(
            **{
                **self.given(),
                "bodies": [{**body.given(), "tags": tuple(body.tags)} for body in self.bodies],
                "routes": [route.given() for route in self.routes],
            }
        )


class KeyUrlForm(Form):
    key_url: Name


class OutboxForm(Form):
    """An address where more than the address is to be said."""

    webhook: Name | KeyUrlForm
    key: Name | None = None

    def build(self) -> Address:
        if isinstance(self.webhook, KeyUrlForm):
            return Address("webhook", "", self.key, self.webhook.key_url)
        return Address.parse(f"webhook:{self.webhook}", self.key)


class AgentForm(Form):
    """An agent with a `skill` is a program; another is somebody with an `outbox`, or without."""

    name: Name
    skills: Annotated[Words, Meta(min_length=1)]
    available_hours: NotNegative
    focus_areas: Words = []
    confidence: Share = 0.5
    skill: Name | None = None
    params: Metadata | None = None
    outbox: Name | OutboxForm | None = None

    def build(self) -> AgentProfile:
        return AgentProfile(
            self.name,
            tuple(self.skills),
            self.available_hours,
            tuple(self.focus_areas),
            self.confidence,
        )

    def build_desk(self) -> Desk:
        """Where what this agent is to do is handed over."""
        if self.skill and self.outbox:
            raise Misfit(("outbox",), "a skill-agent's work becomes a task; it has no outbox")
        if self.params is not None and not self.skill:
            raise Misfit(("params",), "params belong to a skill")
        with at("params"):
            params = as_json(self.params or {})
        return Desk(self.skill, params, build_address(self.outbox, "outbox"))


def build_address(form: str | OutboxForm | None, *path: Step) -> Address | None:
    """The address that an `outbox:` names."""
    if form is None:
        return None
    with at(*path):
        return Address.parse(form) if isinstance(form, str) else form.build()


class SignalForm(Form):
    summary: Name
    zone: Name
    sector: Name
    severity: Share
    persona: Name = "research"
    required_skills: Words = []
    estimated_effort_hours: Positive = 4.0
    task_identifier: Name | UnsetType = UNSET
    timestamp: datetime | UnsetType = UNSET
    metadata: Metadata | None = None

    def build(self) -> PersonaSignal:
        return PersonaSignal(**{**self.given(), "required_skills": tuple(self.required_skills)})


class RuleForm(Form):
    column: Name | None = None
    value: Any = None
    table: dict[str | int | float | bool, Any] = {}
    default: Any = None
    add: list[RuleForm] = []

    def build(self) -> FieldRule:
        return FieldRule(
            column=self.column,
            value=self.value,
            # YAML reads a bare 3 as a number and true as a truth; in a record both are text.
            table={as_text(key): value for key, value in self.table.items()},
            default=self.default,
            add=tuple(_built(rule, "add", index) for index, rule in enumerate(self.add)),
        )


class TimeForm(Form):
    column: Name
    format: Name | None = None
    timezone: Name = "UTC"

    def build(self) -> TimeRule:
        return TimeRule(self.column, self.format, self.timezone)


class PositionForm(Form):
    x: Name | None = None
    y: Name | None = None
    column: Name | None = None
    pattern: Name | None = None

    def build(self) -> PositionRule:
        return PositionRule(self.x, self.y, self.column, self.pattern)


class MapForm(Form):
    """A bare text stands for the column of that name."""

    summary: Name
    sector: Name | RuleForm
    severity: Name | RuleForm
    zone: Name | RuleForm | None = None
    position: PositionForm | None = None
    skills: Name | Words | RuleForm = []
    effort_hours: Name | float | RuleForm = 4.0
    time: Name | TimeForm | None = None
    identifier: Name | RuleForm | None = None
    severity_scale: Positive = 1.0

    def build(self) -> SignalMap:
        with at("summary"):
            template_parts(self.summary)
        return SignalMap(
            summary=self.summary,
            sector=_rule(self.sector, "sector"),
            severity=_rule(self.severity, "severity"),
            zone=_rule(self.zone, "zone") if self.zone else None,
            position=_built(self.position, "position"),
            skills=_rule(self.skills, "skills"),
            effort_hours=_rule(self.effort_hours, "effort_hours"),
            time=TimeRule(self.time) if isinstance(self.time, str) else _built(self.time, "time"),
            identifier=_rule(self.identifier, "identifier") if self.identifier else None,
            severity_scale=self.severity_scale,
        )


class ZonesFile(Form):
    zones: list[ZoneForm]


class SectorsFile(Form):
    sectors: list[SectorForm]


class AgentsFile(Form):
    agents: list[AgentForm]


class SignalsFile(Form):
    signals: list[SignalForm]


class SignalSource(Form):
    file: Name
    map: Name | None = None


class Options(Form):
    limit: Annotated[int, Meta(ge=0)] | None = None
    allow_unassigned: bool = False
    horizon: Annotated[int, Meta(ge=0)] | None = None
    min_skill_match: Share | None = None
    alert_threshold: Share | None = None
    critical_threshold: Share | None = None


class ScenarioForm(Form):
    """Each part stands in the file itself, or in another that is named."""

    name: Name = "scenario"
    zones: Name | list[ZoneForm] = []
    sectors: Name | list[SectorForm] = []
    agents: Name | list[AgentForm] = []
    signals: Name | SignalSource | list[SignalForm] = []
    options: Options = field(default_factory=Options)


def as_json(value: Any) -> Any:
    """YAML knows more than a journal: dates become text, and so do keys that are none."""
    try:
        plain = to_builtins(value, str_keys=True)
    except (TypeError, RecursionError) as error:
        raise InvalidInput(f"cannot be recorded: {error}") from None
    VolatileJournal().stage("tried", {"metadata": plain})
    return plain


@contextlib.contextmanager
def at(*path: Step) -> Iterator[None]:
    """Errors of what is built within are those of the part at *path*."""
    try:
        yield
    except InvalidInput as error:
        raise Misfit((*path, *getattr(error, "path", ())), error.message) from None


def _built(form: Any, *path: Step) -> Any:
    """What *form*, which stands at *path* of the one around it, builds."""
    with at(*path):
        return form.build() if form else None


def _rule(form: str | float | list[str] | RuleForm, *path: Step) -> FieldRule:
    if isinstance(form, str):
        return FieldRule(column=form)
    if isinstance(form, RuleForm):
        rule: FieldRule = _built(form, *path)
        return rule
    return FieldRule(value=tuple(form) if isinstance(form, list) else form)
