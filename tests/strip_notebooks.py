"""Take outputs and counts out of notebooks; exit 1 where there were any, so that the commit is looked at again."""

import json
import sys
from pathlib import Path


def strip(path: Path) -> bool:
    """Strip one notebook and tell whether it was changed."""
    before = path.read_text(encoding="utf-8")
    notebook = json.loads(before)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    after = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before


if __name__ == "__main__":
    changed = [name for name in sys.argv[1:] if strip(Path(name))]
    sys.exit(bool(changed))
