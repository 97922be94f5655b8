"""The command line as a whole: help, completion, documentation, colour, Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.conftest import World
from trawl.cli.app import _commands, app, invoke, load_commands
from trawl.cli.interrupts import PATIENCE

TRAWL = [sys.executable, "-c", "from trawl.cli import main; main()"]
ROOT = Path(__file__).parents[3]
AT_WORK = 1.5  # seconds of CPU after which a process is past its imports, thrice over
THREADS_AT_WORK = 0.1  # and of a thread that is not its first one: it loads nothing


def test_the_overview_names_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--help"]) == 0
    text = capsys.readouterr().out
    for name in _commands:
        assert re.search(rf"^│ {name} +\w+", text, re.MULTILINE), name
    assert text.index("│ run ") < text.index("│ plan ") < text.index("│ try ") < text.index("│ query ")


def test_bash_completes_commands_options_and_choices() -> None:
    script = f"""
    source <({sys.executable} -c 'from trawl.cli import main; main()' completion bash)
    function_of_trawl=$(complete -p trawl | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    try() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}
             COMPREPLY=(); $function_of_trawl trawl "${{@: -1}}" "${{@: -2:1}}"; echo "${{COMPREPLY[@]}}"; }}
    try trawl ""; try trawl hi; try trawl run --max; try trawl export pokeapi --format ""
    """
    lines = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.splitlines()
    assert set(_commands) <= set(lines[0].split())
    assert lines[1:] == ["history", "--max-requests", "files parquet csv jsonl"]


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef trawl"), ("fish", "complete -c trawl")])
def test_other_shells_get_a_script_of_their_own(shell: str, mark: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert mark in text
    assert "max-requests" in text


def test_every_command_stands_in_the_documentation_with_output() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    for name in _commands:
        assert f"\n### `trawl {name}" in text, name
        section = text.split(f"\n### `trawl {name}")[1].split("\n### ")[0]
        assert f"$ trawl {name}" in section, name


def test_options_mean_the_same_in_every_command() -> None:
    load_commands()
    told: dict[str, set[str]] = {}
    for name in _commands:
        inner = [app[name][word] for word in app[name] if not word.startswith("-")]
        for command in inner or [app[name]]:
            for argument in command.assemble_argument_collection():
                if argument.name.startswith("--"):
                    told.setdefault(argument.name, set()).add(str(argument.parameter.help))
    for option in ("--lake", "--json", "--endpoint", "--as-of", "--base-url"):
        assert option in told
    for option in ("--lake", "--json", "--endpoint", "--as-of"):
        assert len(told[option]) == 1, option


def test_what_is_no_terminal_gets_no_colour_and_the_talk_goes_to_stderr(world: World, tmp_path: Path) -> None:
    flags = ["--lake", str(tmp_path), "--base-url", world.url]
    for command in (
        ["run", "pokeapi", *flags, "--rate", "unlimited"],
        ["try", "pokeapi", "pokemon", *flags],
        ["changes", "pokeapi", "--lake", str(tmp_path)],
        ["check", "--live", *flags],
        ["status", "--lake", str(tmp_path)],
    ):
        done = subprocess.run([*TRAWL, *command], check=True, capture_output=True, text=True)
        assert "\x1b" not in done.stdout + done.stderr
        assert done.stdout
        assert "records are due" not in done.stdout


@pytest.mark.parametrize("command", ["run", "plan", "try", "check"])
def test_ctrl_c_ends_a_command_that_waits_for_the_api(command: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api/v2"
        words = {"run": ["pokeapi"], "plan": ["pokeapi"], "try": ["pokeapi", "pokemon"], "check": ["pokeapi", "--live"]}
        process = subprocess.Popen(
            [*TRAWL, command, *words[command], "--base-url", url, "--lake", str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"NO_COLOR": "1"},
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
        connection.close()
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert "interrupted" in said
    assert ("continues" in said) == (command == "run")


@pytest.mark.parametrize("form", ["table", "json", "csv", "parquet"])
def test_a_reader_that_has_enough_is_no_fault_and_a_full_disk_not_the_lakes(form: str, tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    command = [*TRAWL, "query", "SELECT i, 'x' AS x FROM range(300000) t(i)", "--format", form, "--lake", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert len(process.stdout.read(1)) == 1
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) in {0, 1}  # a table is cut off at 200 rows, which a pipe may hold
    _full(command)


def test_what_cannot_be_printed_is_no_fault_of_trawl(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    _full([*TRAWL, "status", "--lake", str(tmp_path)])
    _full([*TRAWL, "status", "--json", "--lake", str(tmp_path)])


def _full(command: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("form", ["table", "csv"])
def test_ctrl_c_ends_a_query_that_never_would(form: str, tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    endless = "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3"
    process = subprocess.Popen(
        [*TRAWL, "query", endless, "--format", form, "--lake", str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    try:
        _until_at_work(process)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = process.communicate(timeout=6)
    finally:
        process.kill()
    assert time.monotonic() - began < PATIENCE  # the query ended, not the process over it
    assert process.returncode == 130
    assert "interrupted" in said


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("command", ["run", "query"])
def test_sigterm_ends_a_process_that_was_started_with_ctrl_c_ignored(command: str, loop: str, tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    (tmp_path / "uvloop.py").write_text("raise ImportError")
    environment = os.environ | {"NO_COLOR": "1"} | ({"PYTHONPATH": str(tmp_path)} if loop == "asyncio" else {})
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api/v2"
        words = {
            "run": ["pokeapi", "--base-url", url],
            "query": ["SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3"],
        }
        process = subprocess.Popen(
            ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *TRAWL, command, *words[command], "--lake", str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            if command == "run":
                silent.settimeout(60)
                stack.enter_context(silent.accept()[0])
            if command == "query":
                _until_at_work(process)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=10)
        finally:
            process.kill()
    assert time.monotonic() - began < (PATIENCE if command == "query" else 5)
    assert process.returncode == 143, said
    assert "interrupted" in said
    assert "Traceback" not in said


def _until_at_work(process: "subprocess.Popen[str]") -> None:
    """Wait until DuckDB answers the question."""
    while process.poll() is None:
        spent = _processor_times(process.pid)
        if spent.pop(process.pid) >= AT_WORK or any(seconds >= THREADS_AT_WORK for seconds in spent.values()):
            return
        time.sleep(0.02)


def _processor_times(pid: int) -> dict[int, float]:
    """The seconds of CPU that each thread of a process has spent."""
    found: dict[int, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            found[int(task.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found
