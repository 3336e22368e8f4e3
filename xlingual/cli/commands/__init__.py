"""The commands of ``xlingual`` other than recipes, one file each.

The module docstring is the command's help, and its first line the summary. ``add_flags`` adds the
command's flags to a parser; ``main`` runs it with the parsed flags.
"""
