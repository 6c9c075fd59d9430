"""Refuse files over 5 MB: models are built, samples are small."""

import sys
from pathlib import Path

if __name__ == "__main__":
    large = [name for name in sys.argv[1:] if Path(name).is_file() and Path(name).stat().st_size > 5 * 2**20]
    sys.stderr.writelines(f"{name} is over 5 MB\n" for name in large)
    sys.exit(bool(large))
