"""The platform in simulation: models, and a host in C++."""
