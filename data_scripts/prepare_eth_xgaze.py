"""Prepare ETH-XGaze (face patches or GazeHub's) for quick training.

    python data_scripts/prepare_eth_xgaze.py                    what to download, from whom, on what terms
    python data_scripts/prepare_eth_xgaze.py --from FOLDER      convert it; goes on where it was cut off

The same as ``python -m gazecourse prepare eth_xgaze``; ``--help`` tells the other options.
"""

import sys

from gazecourse.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["prepare", "eth_xgaze", *sys.argv[1:]]))
