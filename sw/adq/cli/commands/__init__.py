"""The commands of ``adq``: a module each, with a function of the module's name.

What a command needs is imported when it runs, so that ``--help`` answers at once.
"""
