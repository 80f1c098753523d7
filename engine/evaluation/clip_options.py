"""Which clips an evaluation is about, on its command line."""

import argparse
from pathlib import Path


def add_clips(parser: argparse.ArgumentParser, *, needed: str = "clips") -> None:
    """Add the options that name manifests, and the sets of them that count.

    Args:
        parser: Of a command.
        needed: What clips there have to be.
    """
    parser.add_argument(
        "--manifest",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help=f"{needed}, one JSON object a line; repeatable",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME",
        help="only clips of this set; repeatable",
    )
