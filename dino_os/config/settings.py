"""All sections, one beside the other."""

from __future__ import annotations

from msgspec import Struct

from dino_os.config.agent import Agent
from dino_os.config.bus import Bus
from dino_os.config.cluster import Cluster
from dino_os.config.llm import Llm
from dino_os.config.metrics import Metrics
from dino_os.config.network import Cache, Nav
from dino_os.config.personas import Personas
from dino_os.config.planning import Orders, Planning
from dino_os.config.provenance import Provenance
from dino_os.config.work import Entities, Resources, Scheduler
from dino_os.config.workspace import Memory, Sandbox, Security, System


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    """All sections."""

    system: System = System()
    memory: Memory = Memory()
    security: Security = Security()
    sandbox: Sandbox = Sandbox()
    scheduler: Scheduler = Scheduler()
    planning: Planning = Planning()
    personas: Personas = Personas()
    orders: Orders = Orders()
    resources: Resources = Resources()
    entities: Entities = Entities()
    nav: Nav = Nav()
    provenance: Provenance = Provenance()
    cache: Cache = Cache()
    cluster: Cluster = Cluster()
    bus: Bus = Bus()
    metrics: Metrics = Metrics()
    llm: Llm = Llm()
    agent: Agent = Agent()
