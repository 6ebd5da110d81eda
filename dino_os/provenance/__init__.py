"""Provenance in the operating system: who taps, which journals are followed, what is drawn."""
