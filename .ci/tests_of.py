"""Prints the test files for the changed files on standard input, a path a line."""

import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

BY_HAND = {
    "configs": ("tests/dataset", "tests/serving/cli"),
    "packaging": ("tests/docs", "tests/repository", "tests/shortlist_client"),
    "protos": ("tests/shortlist_client",),
}
"""Tests of the folders that no folder of tests mirrors."""
OF_THE_REPOSITORY = ("tests/docs", "tests/repository")
"""Tests of every other file: of the Makefile, pyproject.toml, docs, deploy."""


def tests_of(path: PurePosixPath, root: Path) -> Iterable[Path]:
    """Test files of a changed file.

    A test file is its own test. The other files of `tests` are tested by the tests beside them. A
    file of a package is tested by the nearest folder of tests that mirrors its folder or one above;
    the folders below that one count only if it has no tests itself.

    Args:
        path: The changed file, relative to the root.
        root: Folder of the repository.
    """
    if path.parts[0] == "tests":
        if path.match("test_*.py"):
            return [root / path] if (root / path).exists() else []
        return (root / path.parent).glob("test_*.py")
    if not (root / path.parts[0] / "__init__.py").exists() or len(path.parts) == 1:
        folders = BY_HAND.get(path.parts[0], OF_THE_REPOSITORY)
        return [test for folder in folders for test in (root / folder).glob("test_*.py")]
    for folder in path.parents:
        mirror = root / "tests" / folder
        if mirror.is_dir():
            return list(mirror.glob("test_*.py")) or mirror.rglob("test_*.py")
    return []


if __name__ == "__main__":
    root = Path(__file__).parents[1]
    changed = [PurePosixPath(line.rstrip("\n")) for line in sys.stdin]
    found = {test.relative_to(root).as_posix() for path in changed for test in tests_of(path, root)}
    sys.stdout.writelines(f"{test}\n" for test in sorted(found))
