"""``python -m vidsearch``."""

from vidsearch.cli import main

if __name__ == "__main__":
    main()
