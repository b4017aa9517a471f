"""What does a user send who thinks that a verdict is wrong?

A text with everything that is needed to look into it, and nothing else: no image, no file. It is
made here and sent nowhere. Imports analysis (types) and the export.
"""

from __future__ import annotations

import json

from analysis import Analysis
from report.export import to_json
from report.seal import FIELD, sealed

TRUTHS = ("It is real", "It is manipulated", "It should not have been judged", "Something else")


def wrong_answer(analysis: Analysis, truth: str, comment: str) -> str:
    """The report of a wrong answer, as Markdown.

    Args:
        analysis: what was answered.
        truth: one of `TRUTHS`.
        comment: how the user knows, in own words; may be empty.
    """
    opinion = analysis.verdict.opinion
    data = to_json(analysis)
    whole = data[FIELD]
    data["file"]["name"] = "(left out)"
    data["file"]["provenance"] = {"facts": {}, "notes": [], "content_credentials": "none",
                                  "says_generated": False, "marks": []}  # fmt: skip
    declared = analysis.provenance.declared()
    data["explanation"] = [words for words in data["explanation"] if words not in declared]
    data["settings"]["checkpoints"] = {
        role: "(see checkpoints)" for role in analysis.settings.checkpoints
    }
    words = (
        opinion.level
        if opinion.log_odds is None
        else f"{opinion.level} ({opinion.log_odds:+.2f} log-odds)"
    )
    quoted = "\n".join(f"> {line}" for line in (comment.strip() or "(no comment)").splitlines())
    return (
        "# A wrong answer\n\n"
        f"- The program said: {words}\n- The truth: {truth}\n"
        f"- SHA-256 of the file: {analysis.sha256}\n"
        f"- Hash of the whole report: {whole}\n"
        f"- Program: {analysis.versions.get('program', '?')}\n\n"
        f"How I know:\n\n{quoted}\n\n"
        "The file itself, its name and its metadata are not part of this text.\n\n"
        f"```json\n{json.dumps(sealed(data), indent=1, ensure_ascii=False, allow_nan=False)}\n```\n"
    )
