"""Models at work with skills: their tools, the loop, limits, approvals."""
