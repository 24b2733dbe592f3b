"""Servers that share a store: who owns what, and how they reach each other's runs."""
