"""The application: its commands, and what their errors mean for the exit code."""

import logging
import sys

from cyclopts import App, CycloptsError
from rich.console import Console

import trawl
from trawl.model.errors import ConfigurationError, TrawlError

from . import ending

EXIT_FAILED, EXIT_USAGE = 1, 2

app = App(
    name="trawl",
    help="Keep a faithful, queryable, historised copy of a REST API, politely.\n\n"
    'Start with `trawl run pokeapi --endpoint stat`, then ask `trawl query "SELECT * FROM pokeapi.records"`.',
    version=trawl.__version__,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
)
_commands = {
    "run": "trawl.cli.run:run",
    "plan": "trawl.cli.plan:plan",
    "query": "trawl.cli.query:query",
    "status": "trawl.cli.status:status",
    "history": "trawl.cli.history:history",
    "sources": "trawl.cli.sources:sources",
    "check": "trawl.cli.check:check",
    "maintain": "trawl.cli.maintain:maintain",
    "replica": "trawl.cli.replica:replica",
    "setup": "trawl.cli.setup:setup",
}
for _name, _path in _commands.items():
    app.command(_path, name=_name)

errors = Console(stderr=True, soft_wrap=True, highlight=False)


def main() -> None:
    """Run a command and exit: 0 done, 1 failed, 2 wrong usage or configuration, 130 or 143 interrupted (Ctrl-C, SIGTERM)."""
    ending.listen()
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: list[str]) -> int:
    """Run a command; the exit code."""
    logging.getLogger("stamina").addHandler(logging.NullHandler())  # retries are counted and told in our own words
    try:
        result = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return EXIT_USAGE
    except ConfigurationError as error:
        _print(error)
        return EXIT_USAGE
    except TrawlError as error:
        _print(error)
        return EXIT_FAILED
    except (KeyboardInterrupt, RuntimeError) as error:  # DuckDB makes a RuntimeError of an interruption
        if isinstance(error, RuntimeError) and not ending.interrupted():
            raise
        errors.print(
            "interrupted: the lake is as it was; the same command goes on with what is finished", style="yellow"
        )
        return ending.exit_code()
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_FAILED
    return result if isinstance(result, int) else 0


def _print(error: TrawlError) -> None:
    errors.print("[bold red]error:[/] ", end="")
    errors.print(error.message, markup=False)
    if error.remedy:
        errors.print("  fix: ", style="bold", end="")
        errors.print(error.remedy, markup=False)
