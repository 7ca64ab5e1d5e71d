"""Runs recorded cases, to reduce or replay a failure."""
