"""The configuration file and how its faults are told."""
