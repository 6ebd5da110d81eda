"""The tool sandbox: where skills run, and the only ways out of it."""
