"""Translates and never decides: gRPC in front of the runtime."""
