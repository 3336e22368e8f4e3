"""What ``xlingual NAME`` does to a model that is there: one command, one file.

A command's module docstring is its summary; ``parse`` knows its flags, ``main`` runs it.
"""
