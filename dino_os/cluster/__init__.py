"""
This node among others: what joins workspaces on several machines.

Without `cluster.url` there is none of it.  NATS JetStream carries; each node's journals stay the
truth about what it said, owns and did.
"""

from dino_os.cluster.cluster import Cluster
from dino_os.cluster.link import Client, ClusterUnavailable, Link

__all__ = ["Client", "Cluster", "ClusterUnavailable", "Link"]
