"""The section `cluster`: the servers that carry messages and tasks between nodes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from dino_os.config.bounds import Above0, Positive
from engines.errors import InvalidInput


class Cluster(Struct, forbid_unknown_fields=True, frozen=True):
    """Where the servers are, who this node is there, what it shares.  Without a URL: nowhere."""

    url: str = ""
    namespace: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,30}\Z")] = "dino"
    node: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,63}\Z")] = ""
    domain: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,63}\Z")] = ""
    credentials: str = ""
    ca: str = ""
    insecure: bool = False
    share: list[str] = field(default_factory=lambda: [">"])
    replicas: Annotated[int, Meta(ge=0, le=5)] = 0
    keep_s: Above0 = 7 * 86400.0
    keep_bytes: Positive = 2**30
    scheduler: Literal["wait", "alone"] = "wait"

    def __post_init__(self) -> None:
        if "@" in self.url:  # settings are read, shown and copied by everybody
            raise InvalidInput(
                "the url holds credentials, which everybody can read who reads the settings: they "
                "belong into the vault, and their key's name into `cluster.credentials`"
            )
