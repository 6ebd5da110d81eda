"""Skills in the open format of agentskills.io: a folder with SKILL.md, imported and exported."""
