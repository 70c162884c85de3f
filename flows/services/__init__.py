"""Prefect on this machine: server, worker and deployments of one folder, and who may reach them."""
