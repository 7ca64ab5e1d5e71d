"""Test plan, checked against the tests, proofs and bins that exist."""
