"""What Prefect's dashboard shows: our flows as its flow runs, and the server that they report to."""
