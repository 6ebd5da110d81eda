"""Trajectories from files, and as pictures."""
