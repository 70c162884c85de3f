"""What Prefect sees: the flows of the deployments and what their runs show."""
