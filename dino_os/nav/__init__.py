"""What a nav mesh needs of this system: its keys, its network, its queue."""
