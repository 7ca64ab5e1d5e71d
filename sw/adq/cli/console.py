"""Tables on the console."""

from rich.console import Console
from rich.table import Table

__all__ = ["print_whole"]


def print_whole(table: Table, console: Console) -> None:
    """Print a table as wide as it is: in a narrow window one whose lines run over is worth more
    than one with its figures cut. Square brackets are text: names of folders may hold some.
    """
    whole = Console(width=1000, markup=False).measure(table).maximum
    Console(width=max(console.width, whole), markup=False).print(table)
