"""The documentation does what it says: its commands and its Python run, its configs load, its make targets exist.

Blocks of a page run in order, in one folder with the configs in it, as a reader would. Above a block may stand what the test does
otherwise:

    <!-- test: --draws 4096 -->      options added to `siesweep run` in the next block, so that it is quick

A TOML block without [sweep] is a part of a config, and is loaded as part of one of the returns law; one whose first line is a comment
that names a file (# study.toml) is saved under that name.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.spec import load, loads
from tests.ran import assert_ran

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- test: (?P<options>[^>]*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
BASE = '[sweep]\nname = "part"\nmodel = "returns_law"\ndraws = 64\n'
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
LARGEST_FIGURE = 150_000


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    options: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(match["language"], match["text"], tuple(shlex.split(match["options"] or ""))) for match in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all pages: a sweep that several of them run is computed once."""
    path = tmp_path_factory.mktemp("docs")
    (path / "configs").symlink_to(ROOT / "configs")
    return path


def run_command(line: str, options: tuple[str, ...]) -> None:
    words = shlex.split(line, comments=True)
    if not words:
        return
    if words[0] == "make":
        assert set(words[1:]) <= TARGETS
    elif words[0] == "source":
        assert words[1:] == [".venv/bin/activate"]
    else:
        assert words[0] == "siesweep", f"{line!r}: no test for this command"
        # One device, as each compiles the program for itself.
        added = ("--workers", "1", *options) if words[1] == "run" else ()
        result = CliRunner().invoke(main, [*words[1:], *added], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        if words[1] == "run":
            name = Path(words[2]).stem
            assert_ran(name, Path(words[words.index("-o") + 1] if "-o" in words else f"results/{name}.zarr"), result.stdout)


def load_toml(text: str) -> None:
    if (named := re.match(r"# (\w+\.toml)\n", text)) is not None:
        Path(named[1]).write_text(text, encoding="utf-8")
        load(named[1])
    elif "[sweep]" in text:
        loads(text)
    else:
        loads(f"{BASE}{text}" + ("" if "[outcomes]" in text else "\n[outcomes]\ndoublings = [1]\n"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_shows_works(page, folder, monkeypatch, compiled_cheaply, without_audit, steps_not_counted):
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "bash":
            for line in block.text.splitlines():
                run_command(line, block.options)
        elif block.language == "python":
            exec(compile(block.text, str(page), "exec"), names)
        elif block.language == "toml":
            load_toml(block.text)
        else:
            pytest.fail(f"{page.name}: no test for a block of {block.language}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_are_found_and_options_stand_above_one(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(blocks(page))
    assert text.count("<!-- test:") == sum(bool(block.options) for block in blocks(page))


def test_every_command_is_documented():
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, command in main.commands.items():
        section = page.partition(f"## siesweep {name}")[2].partition("\n## ")[0]
        assert section, name
        for option in (long for parameter in command.params for long in parameter.opts if long.startswith("--")):
            assert f"`{option}" in section, f"{name} {option}"


def test_every_key_of_a_config_is_documented():
    from sweep.config import Config, RunSpec, StoreSpec, SweepTable
    from sweep.distributions import DistributionTable
    from sweep.outcome_spec import OutcomeSpec, StatisticsSpec

    page = (ROOT / "docs" / "configs.md").read_text(encoding="utf-8")
    for section in Config.model_fields:
        assert f"\n## [{section}]" in page
    for table in (SweepTable, StoreSpec, RunSpec, StatisticsSpec, OutcomeSpec):
        for key in table.model_fields:
            assert f"`{key}" in page or f", `{key}" in page, f"{table.__name__}: {key}"
    for kind in DistributionTable.kinds:
        assert f"{{ {kind} = " in page, kind


def test_every_model_has_a_page_with_its_parameters_and_options():
    from kernels import models

    for name in models.names():
        page = (ROOT / "docs" / "models" / f"{name}.md").read_text(encoding="utf-8")
        model = models.get(name)
        for item in (*(parameter.name for parameter in model.parameters), *(option.name for option in model.options)):
            assert f"`{item}`" in page, f"{name}: {item}"


def test_figures_are_small_and_shown():
    shown = {(page.parent / target).resolve() for page in PAGES for target in IMAGE.findall(page.read_text(encoding="utf-8"))}
    figures = set((ROOT / "docs" / "figures").glob("*.png"))
    assert figures == shown
    assert all(figure.stat().st_size < LARGEST_FIGURE for figure in figures)
