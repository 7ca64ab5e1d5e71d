"""Test that compares two simulators with the same inputs."""
