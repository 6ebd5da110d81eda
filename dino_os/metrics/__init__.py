"""Metrics over time: readings by themselves, alerts, and an address where Prometheus asks."""
