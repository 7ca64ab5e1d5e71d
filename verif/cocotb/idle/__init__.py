"""Measurement of the switching of an idle tile."""
