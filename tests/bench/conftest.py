"""bench/ is no installed package: it is found from the folder it is run in."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
