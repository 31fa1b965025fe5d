"""The command line: fetch data sets where they are missing, and verify them."""

import argparse
import sys
from collections.abc import Sequence

from labelnoise.data import INFO, check_name, fetch
from labelnoise.data.download import DataError


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m labelnoise.data NAMES`: 0 when all are there, 1 when not, 2 on wrong
    usage, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m labelnoise.data",
        description="Fetch data sets where they are missing, and verify them.",
        epilog=f"Data sets: {', '.join(INFO)}. Directories: LABELNOISE_DATA (default: data).",
    )
    parser.add_argument("names", help="data sets, separated by commas; 'all' for every one")
    asked = parser.parse_args(arguments).names
    names = list(INFO) if asked == "all" else [name.strip() for name in asked.split(",")]
    try:
        for name in names:
            check_name(name)
    except ValueError as error:
        parser.error(str(error))
    try:
        fetch(names)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: data sets that are whole were kept", "run again to fetch the rest",
              sep="\n", file=sys.stderr)  # fmt: skip
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
