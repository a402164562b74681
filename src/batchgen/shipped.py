"""Where the files lie that come with batchgen: conf, manifests and the embedded models.

In an installed package they lie inside it; in a checkout `conf/` and `manifests/` lie at the root, so that there is one
copy of each to edit. The working directory plays no part.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str, package: Path = _PACKAGE) -> Path:
    """Return the folder `name` (`conf` or `manifests`) that came with `package`, the folder of batchgen's code."""
    installed = package / name
    return installed if installed.is_dir() else package.parent.parent / name


def shipped_model(name: str, package: Path = _PACKAGE) -> Path:
    """Return where the embedded model `name` lies, whether or not this installation has it."""
    return package / "demo" / "models" / name
