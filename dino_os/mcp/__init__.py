"""The Model Context Protocol: skills offered to its clients, and its servers' tools as skills."""
