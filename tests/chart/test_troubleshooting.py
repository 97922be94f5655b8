"""docs/troubleshooting.md: each message of ours in it is still one that is said."""

import re
from pathlib import Path

import pytest

from trawl.cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
SAID = "\n".join(
    file.read_text()
    for folder in ("src/trawl", "helm/trawl/templates")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in {".py", ".tpl", ".yaml"}
)
# Said by others: Helm, Kubernetes, Postgres and the object store.
OTHERS = {
    "additional properties 'repliicas' not allowed",
    "'61 * * * *' does not match pattern",
    "value must be one of 'kubernetes', 'process'",
    "minimum: got -1, want 1",
    'no matches for kind "ServiceMonitor"',
    "ErrImagePull",
    "ImagePullBackOff",
    'secret "my-postgres" not found',
    "CreateContainerConfigError",
    "pod has unbound immediate PersistentVolumeClaims",
    'storageclass.storage.k8s.io "fast" not found',
    "no persistent volumes available for this claim and no storage class is set",
    "Insufficient memory",
    "Insufficient cpu",
    "violates PodSecurity",
    "OOMKilled",
    "DeadlineExceeded",
    "password authentication failed for user",
    "does not exist",
}


def messages():
    for table in re.findall(r"^\| message \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE):
        for row in table.splitlines():
            yield from re.findall(r"`([^`]+)`", row.split(" | ")[0])


@pytest.mark.parametrize("message", sorted(set(messages()) - OTHERS))
def test_a_message_of_ours_is_still_said(message):
    assert message in SAID


def test_every_message_of_others_is_in_the_page():
    assert set(messages()) >= OTHERS


def test_every_command_of_ours_is_understood():
    found = re.findall(r"(?:`|-- )trawl ((?:status|check|maintain|quarantine|run|setup)\b[^`\n]*)", PAGE.read_text())
    assert len(found) >= 3
    for words in found:
        tokens = [word for word in words.replace("ENDPOINT", "pokemon").split() if not word.startswith("#")]
        app.parse_args(tokens, print_error=False, exit_on_error=False)
