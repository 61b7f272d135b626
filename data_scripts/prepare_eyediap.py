"""Prepare EYEDIAP (raw sessions or GazeHub's) for quick training.

    python data_scripts/prepare_eyediap.py                    what to download, from whom, on what terms
    python data_scripts/prepare_eyediap.py --from FOLDER      convert it; goes on where it was cut off

The same as ``python -m gazecourse prepare eyediap``; ``--help`` tells the other options.
"""

import sys

from gazecourse.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["prepare", "eyediap", *sys.argv[1:]]))
