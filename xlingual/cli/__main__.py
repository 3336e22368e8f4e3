"""``python -m xlingual.cli``: the command where the script is not on the path."""

from xlingual.cli import main

if __name__ == "__main__":
    main()
