"""Agents: models that work with skills, and what they remember."""
