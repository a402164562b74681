"""The manifest: what one run shall make, read strictly.

`reading` turns bytes into plain values with line numbers, `shape` turns those into a `Manifest` (its classes stand in
`manifest`), `writing` goes the other way, and `schema` tells editors what may be written.
"""

from batchgen.manifest.manifest import Comparing, Entry, Manifest, Subset, adhoc
from batchgen.manifest.schema import schema
from batchgen.manifest.shape import manifest_of, read_manifest
from batchgen.manifest.writing import manifest_text

__all__ = [
    "Comparing",
    "Entry",
    "Manifest",
    "Subset",
    "adhoc",
    "manifest_of",
    "manifest_text",
    "read_manifest",
    "schema",
]
