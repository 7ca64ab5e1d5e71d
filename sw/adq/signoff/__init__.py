"""Sign-off for people: regressions, coverage and evidence as tables and as one page."""
