"""The test plan, held to the tests, proofs and bins that exist."""
