"""Sign-off: regressions, test plan, coverage, proofs, mutants, injected faults and replay."""
