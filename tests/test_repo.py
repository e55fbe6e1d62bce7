"""The tree itself: links lead somewhere, and no file names a machine or a package host."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sweep.shipped import configs_directory

ROOT = Path(__file__).resolve().parents[1]
PAGES = [page for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.exists()]
LINK = re.compile(r"\]\(\s*<?([^)#\s>]*)[^)]*\)")
# Written in pieces, so that this file does not contain what it looks for.
PACKAGE_HOSTS = re.compile("py" + r"pi\.org|python" + r"hosted\.org|ana" + r"conda\.org|index" + "-url|find" + "-links")
MACHINE_PATHS = re.compile(r"(?<![\w.:/~<>-])/" + r"(home|root|work|Users)/\w")


def _files() -> list[Path]:
    """Files of the project: tracked, or new and not ignored."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if target and not re.match(r"\w+:", target)]
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_no_file_names_a_package_host_or_a_machine():
    offences = []
    for path in _files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            if PACKAGE_HOSTS.search(line) or MACHINE_PATHS.search(line) or f"{ROOT}/" in line:
                offences.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not offences


def test_constraints_are_names_and_versions():
    pattern = re.compile(r'[A-Za-z0-9][\w.-]*==[\w.!+]+( ; python_version (<|>=) "3\.12")?')
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#") and not pattern.fullmatch(line)] == []


def test_configs_are_found_in_a_checkout():
    assert configs_directory() == ROOT / "configs"
