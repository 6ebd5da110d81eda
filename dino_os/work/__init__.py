"""Tasks at work: the service that runs them, its worker processes, and tasks made of skills."""
