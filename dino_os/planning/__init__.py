"""The main job, from files to a plan: scenarios, signal sources, and the run over them."""
