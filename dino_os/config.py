"""
Settings: typed, with a default for everything, and where each value came from.

Precedence: option > `DINO_SECTION__NAME` variable > `config.yaml` > default.  Options are the
commands' own; the rest is here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from dino_os.errors import ConfigError, InvalidInput
from dino_os.typed_files import Document, Step, convert, read_text, show_path
from engines.checks import did_you_mean

_VARIABLE = "DINO_"

SettingPath = tuple[str, ...]
"""Section and name of a setting, with what lies between them."""

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0)]
Above0 = Annotated[float, Meta(gt=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]


class System(Struct, forbid_unknown_fields=True, frozen=True):
    """The workspace itself."""

    name: Annotated[str, Meta(min_length=1)] = "dino"
    lock_timeout_s: Annotated[float, Meta(gt=0)] = 30.0


# What a skill may ask of Dino without a grant of its own.
_SKILLS_MAY = (
    "memory_get",
    "memory_add",
    "bus_read",
    "bus_publish",
    "schedule_read",
    "tool_sandbox",
)


class Granted(Struct, forbid_unknown_fields=True, frozen=True):
    """What a skill may, in any version of it."""

    reads: list[str] = []
    writes: list[str] = []
    reaches: list[str] = []
    keys: list[str] = []
    programs: bool = False


class Sandbox(Struct, forbid_unknown_fields=True, frozen=True):
    """What a skill may use where it asks for nothing else, and what it may besides."""

    timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    output_bytes: Positive = 2**20
    memory_bytes: Positive = 2**31
    processes: Positive = 64
    file_bytes: Positive = 2**28
    scratch_bytes: Positive = 2**28
    scratch_files: Positive = 10_000
    require_namespaces: bool = False
    private_hosts: list[str] = []
    skill_permissions: list[str] = msgspec.field(default_factory=lambda: [*_SKILLS_MAY])
    grants: dict[str, Granted] = {}


class Memory(Struct, forbid_unknown_fields=True, frozen=True):
    """The journals' files.  0 is never."""

    rotate_bytes: Count = 32 * 2**20
    rotate_s: Seconds = 0
    compress: bool = True


class RateLimit(Struct, forbid_unknown_fields=True, frozen=True):
    """How often one who asks gets the same key."""

    requests_per_minute: Positive = 60
    burst: Positive = 10


class Security(Struct, forbid_unknown_fields=True, frozen=True):
    """The key that signs checkpoints and when it does by itself (0 is never); access to keys."""

    signing_key: str = ""
    checkpoint_events: Count = 1000
    checkpoint_s: Seconds = 3600.0
    require_keys: bool = False
    audit_log: bool = True
    rate_limit: RateLimit = RateLimit()


class OutboxSettings(Struct, forbid_unknown_fields=True, frozen=True):
    """How long what is handed out waits for its receiver."""

    timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    attempts: Positive = 12
    keep_s: Annotated[float, Meta(gt=0)] = 7 * 86400.0


class Scheduler(Struct, forbid_unknown_fields=True, frozen=True):
    """What shall run when."""

    max_jobs: Positive = 1000


class Planning(Struct, forbid_unknown_fields=True, frozen=True):
    """How plan-cycle judges and remembers."""

    alert_threshold: Share = 0.55
    critical_threshold: Share = 0.85
    intervention_threshold: Share = 0.5
    min_skill_match: Share = 0.0
    horizon: Count = 5
    zone_history: Positive = 128
    sector_history: Positive = 256
    state_history: Positive = 60
    state_decay: Annotated[float, Meta(ge=0, lt=1)] = 0.15
    cycle: str = "cycle.yaml"
    outbox: OutboxSettings = OutboxSettings()


class HttpPayments(Struct, forbid_unknown_fields=True, frozen=True):
    """The provider `http`: where it is, which keys of the vault it takes, how long it waits."""

    url: str = ""
    key: Annotated[str, Meta(min_length=1)] = "payments"
    webhook_key: Annotated[str, Meta(min_length=1)] = "payments_webhook"
    webhook_tolerance_s: Annotated[float, Meta(gt=0)] = 300.0
    timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    tries: Positive = 3
    key_life_s: Annotated[float, Meta(gt=0)] = 86400.0


class Orders(Struct, forbid_unknown_fields=True, frozen=True):
    """Who takes the money, and which skill fulfils what was paid."""

    provider: Annotated[str, Meta(min_length=1)] = "sandbox"
    fulfilment_skill: str = ""
    fulfil_products: dict[str, str] = {}
    http: HttpPayments = HttpPayments()


class Pool(Struct, forbid_unknown_fields=True, frozen=True):
    """How large a pool is at first, and between what it moves by itself."""

    capacity: Count
    least: Count
    most: Positive


class Scaling(Struct, forbid_unknown_fields=True, frozen=True):
    """When pools move: the percentage in use that is aimed at, and how steady they are kept."""

    target: Annotated[float, Meta(gt=0, le=100)] = 60.0
    tolerance: Share = 0.1
    stabilisation_s: Seconds = 300.0
    every_s: Seconds = 15.0


class Resources(Struct, forbid_unknown_fields=True, frozen=True):
    """Pools, and how tasks are run."""

    compute: Pool = Pool(10, 1, 20)
    storage: Pool = Pool(100, 10, 200)
    network: Pool = Pool(20, 2, 40)
    database: Pool = Pool(5, 1, 10)
    scaling: Scaling = Scaling()
    ageing_s: Seconds = 300.0
    timeout_s: Annotated[float, Meta(gt=0)] = 3600.0
    result_bytes: Positive = 65536
    skill_limits: dict[str, Positive] = {}
    functions: list[str] = []


class Entities(Struct, forbid_unknown_fields=True, frozen=True):
    """How much failure an entity is allowed that says nothing else, and how to look for a route."""

    max_failures: Positive = 3
    within_s: Seconds = 300.0
    backoff_s: Seconds = 1.0
    backoff_most_s: Seconds = 300.0
    max_corrections: Positive = 5
    corrections_within_s: Seconds = 3600.0
    probe_s: Annotated[float, Meta(gt=0)] = 5.0
    probe_most_s: Annotated[float, Meta(gt=0)] = 300.0
    probe_timeout_s: Annotated[float, Meta(gt=0)] = 3.0


class Gate(Struct, forbid_unknown_fields=True, frozen=True):
    """
    One domain's gate: how often a subject may pass, how long tokens live, who may have one; and the
    routes behind it.
    """

    rate_per_minute: Positive = 100
    token_s: Annotated[float, Meta(ge=1)] = 3600.0
    subjects: list[str] = []
    primary: str = ""
    failover: list[str] = []
    hosts: list[str] = []
    timeout_s: Above0 = 30.0
    attempt_s: Above0 = 10.0
    retries: Count = 1
    takes_keys: bool = False
    offline: bool = True
    keep_s: Seconds = 0.0
    health_path: str = ""


class Domains(Struct, forbid_unknown_fields=True, frozen=True):
    """The three gates."""

    wealth: Gate = Gate(rate_per_minute=100)
    info: Gate = Gate(rate_per_minute=200)
    myth: Gate = Gate(rate_per_minute=50)


class Anomalies(Struct, forbid_unknown_fields=True, frozen=True):
    """When what happens at the gates is an anomaly, and for how long it keeps somebody out."""

    bucket_s: Annotated[float, Meta(ge=1)] = 10.0
    warm_up: Positive = 30
    least: Positive = 20
    breaches: Annotated[float, Meta(ge=1)] = 5.0
    breach_half_life_s: Annotated[float, Meta(ge=1)] = 300.0
    cool_down_s: Seconds = 300.0
    block_s: Seconds = 0.0


class Routes(Struct, forbid_unknown_fields=True, frozen=True):
    """When a route is left out, for how long, and how much is tried.  0 switches a rule off."""

    consecutive_5xx: Count = 5
    consecutive_gateway_failure: Count = 0
    consecutive_local_origin_failure: Count = 5
    interval_s: Above0 = 10.0
    base_ejection_s: Above0 = 30.0
    max_ejection_s: Above0 = 300.0
    jitter_s: Seconds = 3.0
    max_ejection_percent: Percent = 50.0
    success_rate_hosts: Positive = 5
    success_rate_requests: Positive = 100
    success_rate_stdev: Annotated[float, Meta(ge=0)] = 1.9
    failure_percentage: Percent = 85.0
    failure_percentage_hosts: Positive = 5
    failure_percentage_requests: Positive = 50
    retry_percent: Percent = 20.0
    retry_least: Count = 3
    max_requests: Positive = 1024
    hedge_after_s: Seconds = 0.0
    health_every_s: Above0 = 30.0
    health_timeout_s: Above0 = 3.0
    probe_s: Above0 = 15.0


class Nav(Struct, forbid_unknown_fields=True, frozen=True):
    """The gates in front of the network, what is watched at them, and the routes behind them."""

    domains: Domains = Domains()
    anomalies: Anomalies = Anomalies()
    routes: Routes = Routes()
    private_hosts: list[str] = []
    ca_file: str = ""
    answer_bytes: Positive = 16 * 2**20


class Cache(Struct, forbid_unknown_fields=True, frozen=True):
    """The documents that lie here, what they are the same with, and the requests that wait."""

    revs_limit: Annotated[int, Meta(ge=2)] = 1000
    ttl_s: Seconds = 0
    expire: Literal["local", "everywhere"] = "local"
    remote: str = ""
    remote_key: str = ""
    direction: Literal["both", "push", "pull"] = "both"
    continuous: bool = False
    attempts: Positive = 12
    keep_s: Annotated[float, Meta(gt=0)] = 30 * 86400.0
    queue_bytes: Positive = 2**28


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    """All sections."""

    system: System = System()
    memory: Memory = Memory()
    security: Security = Security()
    sandbox: Sandbox = Sandbox()
    scheduler: Scheduler = Scheduler()
    planning: Planning = Planning()
    orders: Orders = Orders()
    resources: Resources = Resources()
    entities: Entities = Entities()
    nav: Nav = Nav()
    cache: Cache = Cache()


class Config:
    """
    The settings in the file at *path*, which need not exist.

    Raises:
        ConfigError: A setting is unknown or does not fit.
    """

    def __init__(
        self, path: str | Path = "config.yaml", *, environ: Mapping[str, str] | None = None
    ) -> None:
        self.path = Path(path)
        self._environ = os.environ if environ is None else environ
        self.reload()

    def reload(self) -> None:
        """Read the file and the variables again."""
        self._document = self._read(read_text(self.path) if self.path.exists() else "")
        data = self._document.data
        self._variables = self._read_variables()
        merged = deepcopy(data)
        for path, (_, value) in self._variables.items():
            _put(merged, path, value)
        self.settings = convert(merged, Settings, self._error_after_merge)

    def get(self, path: str) -> Any:
        """
        The value at *path* ("planning.horizon"), or a whole section as a mapping.

        Raises:
            ConfigError: There is no such setting.
        """
        value: Any = self.settings
        for step in path.split("."):
            names = value.__struct_fields__ if isinstance(value, Struct) else ()
            if step not in names:
                known = names or [".".join(p) for p in self.paths()]
                raise ConfigError(
                    f"no setting {path!r}{did_you_mean(step if names else path, known)}",
                    hint="`dino config show` lists all settings",
                )
            value = getattr(value, step)
        return msgspec.to_builtins(value)

    def set(self, path: str, value: Any) -> None:
        """
        Write *value* at *path* into the file, keeping its comments, and reload.

        Raises:
            ConfigError: There is no such setting, or the value does not fit; the file stays as it
                was.
        """
        from io import StringIO  # noqa: PLC0415  needed for this one verb, as is the next

        from ruamel.yaml import YAML  # noqa: PLC0415

        from engines.durable import replace_file  # noqa: PLC0415

        steps = tuple(path.split("."))
        self.get(path)
        if steps not in self.paths():
            raise ConfigError(f"{path!r} is a section; set one of its settings")
        editor = YAML()
        editor.preserve_quotes = True
        text = read_text(self.path) if self.path.exists() else ""
        tree = editor.load(text) or {}
        _put(tree, steps, value)
        draft = StringIO()
        editor.dump(tree, draft)
        document = self._read(draft.getvalue())
        convert(document.data, Settings, _as_config_error(document))
        try:
            replace_file(self.path, draft.getvalue().encode())
        except OSError as error:
            raise InvalidInput(f"{self.path}: cannot be written: {error.strerror}") from None
        self.reload()

    @staticmethod
    def paths() -> list[SettingPath]:
        """Every setting there is, as (section, name), or longer where a section has parts."""
        return list(_leaves(Settings))

    def source_of(self, *path: str) -> str:
        """Where the value in force came from."""
        if variable := self._variables.get(path):
            return f"${variable[0]}"
        value = self._document.data
        for step in path:
            if not isinstance(value, dict) or step not in value:
                return "default"
            value = value[step]
        return f"{self.path.name}:{self._document.line_of(path)}"

    def _read(self, text: str) -> Document:
        try:
            document = Document(text, str(self.path))
        except InvalidInput as error:
            raise ConfigError(error.message, hint=error.hint) from None
        document.data = {} if document.data is None else document.data
        if not isinstance(document.data, dict):
            raise ConfigError(f"{self.path}: expected sections, found {document.data!r}")
        for section, values in document.data.items():
            if values is None:
                document.data[section] = {}
            elif not isinstance(values, dict):
                raise _as_config_error(document)((section,), f"expected settings, found {values!r}")
        return document

    def _read_variables(self) -> dict[SettingPath, tuple[str, Any]]:
        found = {}
        for variable, text in self._environ.items():
            path = tuple(variable.removeprefix(_VARIABLE).lower().split("__"))
            if variable.startswith(_VARIABLE) and len(path) > 1:
                if path not in self.paths():
                    known = [f"{_VARIABLE}{'__'.join(p)}".upper() for p in self.paths()]
                    raise ConfigError(
                        f"${variable}: no such setting{did_you_mean(variable, known)}"
                    )
                found[path] = (variable, Document(text, f"${variable}").data)
        return found

    def _error_after_merge(self, path: tuple[Step, ...], what: str) -> ConfigError:
        if variable := self._variables.get(tuple(map(str, path))):
            return ConfigError(f"${variable[0]}: {show_path(path)}: {what}")
        return _as_config_error(self._document)(path, what)


def _leaves(form: type[Struct], above: SettingPath = ()) -> Iterator[SettingPath]:
    for field in msgspec.structs.fields(form):
        path = (*above, field.name)
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from _leaves(field.type, path)
        else:
            yield path


def _put(tree: dict[str, Any], path: SettingPath, value: Any) -> None:
    """Set the *value* at *path*, with the sections above it where there are none."""
    *above, name = path
    for step in above:
        if not isinstance(tree.get(step), dict):
            tree[step] = {}
        tree = tree[step]
    tree[name] = value


def _as_config_error(document: Document) -> Callable[[tuple[Step, ...], str], ConfigError]:
    def error(path: tuple[Step, ...], what: str) -> ConfigError:
        return ConfigError(
            document.error(path, what).message, hint="`dino config show` lists all settings"
        )

    return error
