"""Text that may hold terminal control characters, made safe to print.

This module imports nothing: errors are printed by it, the one of too few open files too.
"""

__all__ = ["visible"]


def visible(text: str) -> str:
    """Return a text with terminal control characters escaped. Newlines and tabs are kept."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode()
        for each in text
    )
