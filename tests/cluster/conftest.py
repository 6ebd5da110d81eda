"""The servers that the tests of the cluster run against."""

from __future__ import annotations

from tests.cluster.nodes import make_nodes
from tests.cluster.servers import leaf, server, three

__all__ = ["leaf", "make_nodes", "server", "three"]
