"""Settings: what conf/ and the command line say, composed by Hydra and checked.

Hydra reads and merges files here and does nothing else; it is imported when it is needed. No other room knows of it.
"""

from batchgen.models.option import ModelConf
from batchgen.settings.hooks import OnFinish
from batchgen.settings.settings import Output, Paths, Settings, load_settings
from batchgen.settings.words import Words, parse_words

__all__ = ["ModelConf", "OnFinish", "Output", "Paths", "Settings", "Words", "load_settings", "parse_words"]
