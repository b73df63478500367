"""Code in the pages works: Python runs, command lines are ones that the program understands, deploy files can be read."""

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from doc_pages import CONTINUED, Snippet, run_python, snippets, with_what_it_continues

import headgate
from headgate.cli.dispatch import build
from headgate.core.template_lint import lint

PYTHON = snippets("python")
COMMAND_LINES = [
    (snippet, line)
    for snippet in snippets("bash")
    for line in re.sub(r"\\\n\s*", "", snippet.code).splitlines()
    if line.startswith("headgate ")
]


@pytest.mark.parametrize("snippet", [each for each in PYTHON if each.marks in ("", CONTINUED)], ids=str)
def test_python_runs_as_it_stands(snippet: Snippet, tmp_path: Path) -> None:
    """On its own, or after what it continues; without a server, with warnings as errors."""
    done = run_python(with_what_it_continues(snippet), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("snippet", [each for each in PYTHON if each.marks not in ("", CONTINUED)], ids=str)
def test_python_that_needs_a_server_uses_names_that_exist(snippet: Snippet) -> None:
    assert snippet.marks == "notest"
    imports = [node for node in ast.walk(ast.parse(snippet.code)) if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in imports if node.module == "headgate" for alias in node.names]
    assert all(hasattr(headgate, name) for name in names)


@pytest.mark.parametrize(("snippet", "line"), COMMAND_LINES, ids=[f"{each} {line}" for each, line in COMMAND_LINES])
def test_a_command_line_is_understood(snippet: Snippet, line: str) -> None:
    """Every option and argument exists; nothing is run."""
    build().parse_args(shlex.split(line, comments=True)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("snippet", snippets("json"), ids=str)
def test_a_template_has_nothing_wrong_with_it(snippet: Snippet) -> None:
    assert lint(json.loads(snippet.code)) == []


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=str)
def test_a_deploy_file_can_be_read(snippet: Snippet) -> None:
    for deployment in yaml.safe_load(snippet.code)["deployments"]:
        assert deployment["name"]
        assert ("entrypoint" in deployment) != ("command" in deployment)
