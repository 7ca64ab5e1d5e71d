"""Switching in simulations: nets, classes of nets, counts and SAIF."""
