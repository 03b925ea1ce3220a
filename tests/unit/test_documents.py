"""Documents name files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "ARCHITECTURE.md",
    "README.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]
PLACES = "konsil|signaling|waiting_room|turn|sfu|web|loadtest|bench|tests|docs|deploy"


def named_in(text: str) -> set[str]:
    """Paths in backticks and the targets of relative links."""
    quoted = re.findall(rf"`((?:{PLACES})/[\w./*-]+)`", text)
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    return {*quoted, *linked}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_in_a_document_exists(name: str) -> None:
    document = ROOT / name
    missing = []
    for path in sorted(named_in(document.read_text("utf-8"))):
        homes = (ROOT, document.parent)
        if not any(
            list(home.glob(path)) if "*" in path else (home / path).exists() for home in homes
        ):
            missing.append(path)
    assert not missing
