"""Settings by file: what examples/settings says holds, and in which order."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = Path(__file__).parents[2] / "examples" / "settings"
ASK = """
import json
from prefect.settings import get_current_settings
found = get_current_settings()
print(json.dumps([found.logging.level, found.tasks.runner.thread_pool_max_workers, found.api.url, found.client.max_retries]))
"""


def settings(folder: Path, *files: str, **env: str) -> list[object]:
    """What holds for a program that is started in a folder with these files: level, workers, address, tries."""
    for name in files:
        shutil.copy(SETTINGS / name, folder)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK], check=True, cwd=folder, capture_output=True, text=True, timeout=60,
        env=clean | {"PREFECT_HOME": str(folder / "home")} | env,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_the_projects_file_comes_before_pyproject_and_both_are_read(tmp_path: Path) -> None:
    assert settings(tmp_path, "prefect.toml", "pyproject.toml") == ["INFO", 8, "http://127.0.0.1:4200/api", 5]


def test_pyproject_alone_holds_too(tmp_path: Path) -> None:
    assert settings(tmp_path, "pyproject.toml")[:2] == ["WARNING", 8]


@pytest.mark.parametrize("files", [["prefect.toml"], ["prefect.toml", "pyproject.toml"]])
def test_the_environment_comes_before_all(tmp_path: Path, files: list[str]) -> None:
    assert settings(tmp_path, *files, PREFECT_LOGGING_LEVEL="ERROR")[0] == "ERROR"
