"""Placed designs for people and other tools: tables, pictures and files."""
