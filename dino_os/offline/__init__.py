"""What a workspace does without the network and with it again: serve, synchronise, drill."""
