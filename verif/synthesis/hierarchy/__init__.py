"""Synthesis of large designs in parts, each kind of part mapped once."""
