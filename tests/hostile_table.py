"""Not a test: which hostile inputs are tried, and how must each of them end?

``make hostile`` (``python -m tests.hostile_table``) writes docs/hostile.md from the tables that the
tests run, so that the page holds no outcome that no test asserts.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests import hostile_repos
from tests.conftest import ROOT
from tests.hostile_files import DAMAGED, LINKS, MISDEEDS, UNREADABLE
from tests.hostile_repos import CASES, Case

PAGE = ROOT / "docs" / "hostile.md"
HEAD = """# Hostile inputs and outcomes

Made by `make hostile` from the tables that the tests run; each row is asserted, and of repositories
also that nothing of theirs runs, nothing hangs and no traceback is shown. *Ends as* is the code of
the error; *taken* means that the checkpoint loads with the evil part ignored. Mutated files are not
listed: 31 kinds, as many of them as you like (`make fuzz`).
"""
REPOSITORIES = {
    "PICKLES": "pickles", "CODE": "code of their own", "HEADERS": "headers of weights",
    "NUMBERS": "numbers in weights", "CONFIGS": "configs", "CARDS": "cards",
    "LISTINGS": "names and sizes",
}  # fmt: skip
Row = tuple[str, str | None, str]  # what is wrong, code, part of the sentence


def page() -> str:
    """The page, in Markdown."""
    kinds = {words: getattr(hostile_repos, name) for name, words in REPOSITORIES.items()}
    assert sum(map(len, kinds.values())) == len(CASES), "a kind of repositories is not listed"
    tables = [
        _table("Files", [(what, DAMAGED, words) for what, _, words in UNREADABLE]),
        _table(
            "Files that take over the process that reads them",
            [(f"a file that {what}", code, words) for what, _, code, words in MISDEEDS],
        ),
        _table("Folders with links", [(what, code, words) for what, _, code, words in LINKS]),
        *(_table(f"Repositories: {words}", map(_row, cases)) for words, cases in kinds.items()),
    ]
    return "\n".join([HEAD, *tables])


def _row(case: Case) -> Row:
    return case.name, case.code, case.words


def _table(title: str, rows: Iterable[Row]) -> str:
    lines = [
        f"| {_plain(what)} | {f'`{code}`' if code else 'taken'} | {_sentence(words)} |"
        for what, code, words in rows
    ]
    head = ["| What is wrong | Ends as | The sentence says |", "| --- | --- | --- |"]
    return "\n".join([f"## {title} ({len(lines)})", "", *head, *lines, ""])


def _sentence(words: str) -> str:
    return f"“… {_plain(words)} …”" if words else ""


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
