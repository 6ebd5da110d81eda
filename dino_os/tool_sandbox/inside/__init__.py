"""The code that runs on the far side of the wall; it is started, never imported, by the parent."""
