"""The sections `system`, `memory`, `security`, `sandbox`: a workspace, and who may what in it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from dino_os.config.bounds import Count, Positive, Seconds

# What a skill may ask of Dino without a grant of its own.
_SKILLS_MAY = (
    "memory_get",
    "memory_add",
    "bus_read",
    "bus_publish",
    "schedule_read",
    "tool_sandbox",
    "provenance_tap",
)


class System(Struct, forbid_unknown_fields=True, frozen=True):
    """The workspace itself."""

    name: Annotated[str, Meta(min_length=1)] = "dino"
    lock_timeout_s: Annotated[float, Meta(gt=0)] = 30.0


class Memory(Struct, forbid_unknown_fields=True, frozen=True):
    """The journals' files, for which 0 is never; and what is remembered."""

    rotate_bytes: Count = 32 * 2**20
    rotate_s: Seconds = 0
    compress: bool = True
    versions: Count = 20  # of a key, that are kept
    encrypted: bool = False
    redact: bool = True
    approximate: bool = False
    embedder: Annotated[str, Meta(min_length=1)] = "words"
    embed_url: str = ""
    embed_key: str = ""


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
