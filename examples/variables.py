"""Variables: small settings that flows read and people change, without a new deployment.

    python examples/variables.py

Names hold lower-case letters, digits, `_` and `-`. Values are JSON: texts, numbers, lists, objects. Secrets do not belong
here: `Secret` blocks are for them.
"""

import asyncio
from typing import Any

from prefect import flow
from prefect.variables import Variable

GREETING = "pokeapi_showcase_greeting"
SIZES = "pokeapi_showcase_sizes"


@flow
def settings() -> dict[str, Any]:
    """In synchronous code."""
    Variable.set(GREETING, "Hello", tags=["showcase"], overwrite=True)  # without `overwrite`: an error if it is there
    Variable.set(SIZES, {"small": 3, "large": [10, 25]}, overwrite=True)
    try:
        return {
            "greeting": Variable.get(GREETING),  # the value itself
            "sizes": Variable.get(SIZES),
            "missing": Variable.get("nobody_set_this", default="a fallback"),
        }
    finally:
        Variable.unset(GREETING)
        Variable.unset(SIZES)


@flow
async def settings_async() -> str:
    """In async code each has a name with `a`: there `Variable.get` would give a coroutine."""
    await Variable.aset(GREETING, "Hello, async", overwrite=True)
    try:
        return await Variable.aget(GREETING, default="a fallback")
    finally:
        await Variable.aunset(GREETING)


def main() -> None:
    """Both."""
    print(settings())
    print(asyncio.run(settings_async()))


if __name__ == "__main__":
    main()
