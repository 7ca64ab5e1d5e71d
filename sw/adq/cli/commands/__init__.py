"""Commands of ``adq``. Each module defines one command, a function with the module's name.

A command imports its dependencies when it runs, so that ``--help`` is fast.
"""
