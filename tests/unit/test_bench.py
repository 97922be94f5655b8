"""That the benches run, on tiny sizes and in this very process; what they find is not looked at."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
