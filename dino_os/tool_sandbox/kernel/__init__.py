"""
What the kernel enforces, by its own system calls: nothing here knows of skills or workspaces.

These modules also run inside the sandbox, before anything foreign does: they import little, and
nothing from the rest of Dino.
"""
