"""The servers that the tests of the cluster run against."""

from __future__ import annotations

from tests.cluster.nodes import make_nodes
from tests.cluster.servers import leaf, make_server, server, three

__all__ = ["leaf", "make_nodes", "make_server", "server", "three"]
