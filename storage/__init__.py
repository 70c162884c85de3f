"""Persistence: sources, tables, releases, leases."""
