"""Test of activity counting on a design whose toggles can be counted by hand."""
