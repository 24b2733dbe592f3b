"""Generated from protos/starflow/v1 by `make proto`."""
