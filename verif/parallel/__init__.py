"""Parallel work, here or on other machines, behind ``concurrent.futures.Executor``."""
