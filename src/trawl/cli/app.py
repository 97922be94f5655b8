"""The application: its commands, and what their errors mean for the exit code."""

import atexit
import os
import re
import sys
import threading
import traceback
from io import TextIOWrapper
from typing import NoReturn

from cyclopts import App, CycloptsError, CycloptsPanel, Group
from rich.console import Console

import trawl
from trawl.model.errors import ConfigurationError, TrawlError

from . import interrupts
from .text import visible

EXIT_FAILED, EXIT_USAGE = 1, 2
_ISSUES = "https://github.com/trawl-crawler/trawl/issues"

app = App(
    name="trawl",
    help="Keep a faithful, queryable copy of a REST API with its full history, politely.\n\n"
    'Start with `trawl run pokeapi --endpoint stat`, then ask `trawl query "SELECT * FROM pokeapi.records"`.',
    version=trawl.__version__,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
    error_formatter=lambda error: CycloptsPanel(visible(str(error), lines=True)),
)
_commands = {
    "run": "trawl.cli.run:run",
    "plan": "trawl.cli.plan:plan",
    "try": "trawl.cli.try_:try_",
    "query": "trawl.cli.query:query",
    "changes": "trawl.cli.changes:changes",
    "history": "trawl.cli.history:history",
    "export": "trawl.cli.export:export",
    "status": "trawl.cli.status:status",
    "maintain": "trawl.cli.maintain:maintain",
    "backup": "trawl.cli.backup:backup",
    "restore": "trawl.cli.restore:restore",
    "quarantine": "trawl.cli.quarantine:quarantine",
    "forget": "trawl.cli.forget:forget",
    "rekey": "trawl.cli.rekey:rekey",
    "sources": "trawl.cli.sources:sources",
    "check": "trawl.cli.check:check",
    "replica": "trawl.cli.replica:replica",
    "serve": "trawl.cli.serve:serve",
    "setup": "trawl.cli.setup:setup",
    "completion": "trawl.cli.completion:completion",
}
_groups = {
    Group("Crawl", sort_key=0): ("run", "plan", "try"),
    Group("Query", sort_key=1): ("query", "changes", "history", "export"),
    Group("Maintain the lake", sort_key=2): (
        "status",
        "maintain",
        "backup",
        "restore",
        "quarantine",
        "forget",
        "rekey",
    ),
    Group("Sources", sort_key=3): ("sources", "check"),
    Group("Other", sort_key=4): ("serve", "setup", "replica", "completion"),
}
for _place, (_name, _path) in enumerate(_commands.items()):
    app.command(_path, name=_name, sort_key=_place, group=next(g for g, names in _groups.items() if _name in names))

_options = Group("Options", sort_key=len(_groups))
for _flag in ("--help", "--version"):
    app[_flag].group = _options

errors = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def main() -> None:
    """Run a command and exit: 0 done, 1 failed, 2 wrong usage or configuration, 130 or 143 interrupted (Ctrl-C, SIGTERM)."""
    interrupts.watch(_farewell(sys.argv[1:]))
    if isinstance(sys.stdout, TextIOWrapper):  # what its encoding lacks is shown escaped, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    _leave(invoke(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """End the process, with everybody's farewells, but without taking Python apart.

    Arrow reads ahead in threads of its own. One that lets go of its last bytes while Python is being taken apart
    aborts the process: exit code 134, after all was done.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  waits for threads, as leaving Python does
        atexit._run_exitfuncs()  # noqa: SLF001
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):  # a reader that left; whoever printed has said so
        code = code or EXIT_FAILED
    finally:
        os._exit(code)


def invoke(arguments: list[str]) -> int:
    """Run a command; the exit code."""
    try:
        _refuse_broken(arguments)
        if not arguments or arguments[0] in {"--help", "-h"}:
            load_commands()
        result = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
        print(end="", flush=True)
    except CycloptsError:
        return EXIT_USAGE
    except ConfigurationError as error:
        _print(error)
        return EXIT_USAGE
    except TrawlError as error:
        _print(error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return _interrupted(arguments)
    except (BrokenPipeError, SystemExit):  # the latter is Rich's for the former
        _give_up_output()
        return EXIT_FAILED
    except OSError as error:
        fault = _output_fault()
        if fault is None:
            _print_fault(error)
        else:
            _give_up_output()
            _print(TrawlError(f"the output cannot be written: {fault.strerror or fault}"))
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001  (the last door before the user)
        if interrupts.heard() or str(error) == "Query interrupted":  # DuckDB's word for Ctrl-C
            return _interrupted(arguments)
        _print_fault(error)
        return EXIT_FAILED
    return result if isinstance(result, int) else 0


def _refuse_broken(arguments: list[str]) -> None:
    """Bytes that are no UTF-8 come as lone surrogates, which neither SQL nor an address can hold."""
    for argument in arguments:
        if re.search("[\ud800-\udfff]", argument):
            raise ConfigurationError(f"the argument {argument!a} is not UTF-8", remedy="write it in UTF-8")


def _output_fault() -> OSError | None:
    """Why stdout takes nothing more: what it did not take is still in its buffer, and fails again."""
    try:
        print(end="", flush=True)
    except OSError as error:
        return error
    return None


def _give_up_output() -> None:
    """What is left in the buffer goes nowhere: it must not fail once more as the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _interrupted(arguments: list[str]) -> int:
    errors.print(_farewell(arguments), style="yellow")
    return interrupts.exit_code()


def _farewell(arguments: list[str]) -> str:
    if arguments[:1] == ["run"]:
        return "interrupted: the lake is unchanged; the same command continues with what is finished"
    if arguments[:1] == ["serve"]:
        return "stopped; an unfinished run continues when it is started again"
    return "interrupted"


def load_commands() -> None:
    """Import every command: the overview shows what each of them says of itself."""
    for name in _commands:
        app[name]


def _print(error: TrawlError) -> None:
    errors.print("[bold red]error:[/] ", end="")
    errors.print(visible(error.message, lines=True), markup=False)
    if error.remedy:
        errors.print("  fix: ", style="bold", end="")
        errors.print(visible(error.remedy, lines=True), markup=False)


def _print_fault(error: Exception) -> None:
    """Something that nobody foresaw: one line, and where to tell of it."""
    if os.environ.get("TRAWL_DEBUG"):
        errors.print(visible("".join(traceback.format_exception(error)), lines=True), markup=False)
    remedy = f"this is a bug in Trawl: please report it at {_ISSUES}, with what TRAWL_DEBUG=1 shows"
    _print(TrawlError(" ".join(f"{type(error).__name__}: {error}".split())[:400], remedy=remedy))
