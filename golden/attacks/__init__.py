"""Damaged artifacts, and the error that a reader must give for each.

``errors.json`` says for each folder what is wrong with it and what the message of
``adq.golden.artifact.read_artifact`` must hold.
``python -m adq.golden.attacks.make`` writes them anew.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
ERRORS = FOLDER / "errors.json"


def expected_errors() -> dict[str, str]:
    """What the error message must hold, by folder."""
    return json.loads(ERRORS.read_text(encoding="utf-8"))
