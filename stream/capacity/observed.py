"""A server that notes what each piece of hearing took; otherwise as `salmonn-serve`.

    python -m stream.capacity.observed --work-log FILE …

Not by `--log-level debug`: that tells of every message, too, and takes time for it.
"""

import argparse
import logging
import sys
from pathlib import Path

from stream.__main__ import main as serve
from stream.capacity.worklog import WORKER, WorkLog


def main() -> int:
    """Serve; return the exit status of `salmonn-serve`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--work-log", type=Path, required=True)
    options, rest = parser.parse_known_args()
    logger, log = logging.getLogger(WORKER), WorkLog(options.work_log)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(log)
    logger.propagate = False
    try:
        return serve(rest)
    finally:
        log.close()


if __name__ == "__main__":
    sys.exit(main())
