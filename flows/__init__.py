"""Orchestration: Prefect flows, the command line and the composed configuration."""
