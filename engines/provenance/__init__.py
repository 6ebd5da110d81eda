"""Provenance: what happened, what led to it, and what came of it."""
