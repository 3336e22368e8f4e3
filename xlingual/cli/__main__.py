"""``python -m xlingual.cli``, for when the ``xlingual`` script is not on the path."""

from xlingual.cli import main

if __name__ == "__main__":
    main()
