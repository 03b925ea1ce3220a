"""What `konsil doctor` has found out, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How each line begins."""

    FINE = "ok"
    NOTE = "note"  # nothing is wrong, but somebody might wonder
    WRONG = "WRONG"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text`: in plain words, and where something is wrong also what to do."""

    verdict: Verdict
    subject: str
    text: str

    def line(self) -> str:
        return f"{self.verdict:6} {self.subject:16} {self.text}"


def exit_code(findings: Sequence[Finding]) -> int:
    """0: all is well; 1: something is wrong; 2: something could not be checked."""
    verdicts = {finding.verdict for finding in findings}
    if Verdict.WRONG in verdicts:
        return 1
    return 2 if Verdict.UNKNOWN in verdicts else 0


def fine(subject: str, text: str) -> Finding:
    return Finding(Verdict.FINE, subject, text)


def note(subject: str, text: str) -> Finding:
    return Finding(Verdict.NOTE, subject, text)


def wrong(subject: str, text: str) -> Finding:
    return Finding(Verdict.WRONG, subject, text)


def unknown(subject: str, text: str) -> Finding:
    return Finding(Verdict.UNKNOWN, subject, text)
