"""Gates in front of the network, and the routes behind them."""
