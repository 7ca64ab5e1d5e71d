"""Switching of an idle tile."""
