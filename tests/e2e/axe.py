"""axe-core (Deque) on a page as it is: what it finds against WCAG 2.2 AA."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.e2e.people import Person

_SOURCE: Final = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
_TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


async def find_violations(person: Person) -> list[str]:
    """One line for each place at fault: the rule, the element, and what to do."""
    if not await person.page.evaluate("'axe' in window"):
        await person.page.evaluate(_SOURCE.read_text("utf-8"))
    result: dict[str, Any] = await person.page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})",
        list(_TAGS),
    )
    return [
        f"{violation['id']}: {node['html'][:160]}: {node['failureSummary'][:300]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


async def is_accessible(person: Person, state: str) -> None:
    found = await find_violations(person)
    assert found == [], f"{state}: {len(found)} found by axe"
