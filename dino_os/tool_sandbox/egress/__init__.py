"""The only way from the sandbox to the network: which hosts, and the proxy that asks."""
