"""No import is hidden in a string, so import-linter and readers see every dependency."""

import ast
import re
from pathlib import Path

import pytest

from lineage.cli import PACKAGES

ROOT = Path(__file__).parents[2]
BY_NAME = {"resolve_name", "import_module", "__import__"}
A_LOGGER_BY_ITS_CLASS_PATH = ("backbone/training.py", "pkgutil.resolve_name(config.kind)")
"""The one exception: users name a logger of any package in their configuration."""
MODULE_AND_FUNCTION = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)*:\w+")


def hidden_imports(code: str) -> list[str]:
    """Calls that import by name, and strings like `package.module:function`."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in BY_NAME:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Constant) and MODULE_AND_FUNCTION.fullmatch(str(node.value)):
            found.append(node.value)
    return found


def test_no_string_hides_an_import():
    found = {
        (str(path.relative_to(ROOT)), call)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for call in hidden_imports(path.read_text())
    }

    assert found == {A_LOGGER_BY_ITS_CLASS_PATH}


@pytest.mark.parametrize(
    "code",
    [
        'importlib.import_module("towers.train")',
        'resolve_name("ranker.train:train")',
        '__import__("serving")',
        'run("towers", build="towers.train:train")',
    ],
)
def test_a_hidden_import_is_found(code):
    assert hidden_imports(code)
