"""The commands of ``xlingual`` that are no recipe: one file each.

A command's module docstring is its help, and the first line of it the summary; ``add_flags`` adds
its flags to a parser, ``main`` takes what was parsed and runs it.
"""
