"""What an operator does to a store while no server uses it: check, export, import."""
