"""Where files lie: conf, manifests and the embedded models that come with batchgen; what `~` and patterns stand for.

In an installed package they lie inside it; in a checkout `conf/` and `manifests/` lie at the root, so that there is one
copy of each to edit. The working directory plays no part.
"""

import glob
import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str, package: Path = _PACKAGE) -> Path:
    """Return the folder `name` (`conf` or `manifests`) that came with `package`, the folder of batchgen's code."""
    installed = package / name
    return installed if installed.is_dir() else package.parent.parent / name


def shipped_model(name: str, package: Path = _PACKAGE) -> Path:
    """Return where the embedded model `name` lies, whether or not this installation has it."""
    return package / "demo" / "models" / name


def at_home(path: str) -> Path:
    """Return the path that `~` begins in somebody's home; of nobody's home it stays as it is, as a shell does it."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser() raises


def matching(pattern: Path) -> tuple[Path, ...]:
    """Return the files and folders that a pattern from the root stands for."""
    return tuple(Path(each) for each in glob.glob(str(pattern), recursive=True))  # noqa: PTH207 - takes none from the root
