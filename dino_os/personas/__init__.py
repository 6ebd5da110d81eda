"""Models for the personas: what one may add to their deterministic result, and what it added."""
