"""`python -m bench.steps MODULE:FUNCTION JSON`: one step of a bench, its result printed as JSON.

A fresh process for each step keeps the memory figures apart: a child's peak counts only what it did itself.
"""

import importlib
import json
import sys
from typing import Any


def call(target: str, arguments: dict[str, Any]) -> Any:
    """Call `bench.steps.MODULE:FUNCTION` with JSON arguments."""
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(f"bench.steps.{module}"), function)(**arguments)


if __name__ == "__main__":
    result = call(sys.argv[1], json.loads(sys.argv[2]))
    if result is not None:
        print(json.dumps(result))
