import json

import numpy as np
import pytest

from batchgen.store.images import encode, open_picture
from trials.watching import pictures


@pytest.fixture
def damage():
    """Ways to damage a run directory, so that a trial must notice."""
    return Damage


class Damage:
    """Each does one thing to the first picture that is there."""

    @staticmethod
    def lose(directory):
        pictures(directory)[0].unlink()

    @staticmethod
    def tear(directory):
        path = pictures(directory)[0]
        path.write_bytes(path.read_bytes()[:-1])

    @staticmethod
    def copy(directory):
        path = pictures(directory)[0]
        path.with_name("another-name.png").write_bytes(path.read_bytes())

    @staticmethod
    def repaint(directory):
        """Change one bit of one pixel, and nothing else."""
        path = pictures(directory)[0]
        was = open_picture(path)
        pixels = np.array(was.pixels)
        pixels[5, 5, 1] ^= 1
        path.write_bytes(encode(pixels, was.record, was.parameters, 1))

    @staticmethod
    def deny_one_colour(directory):
        """Let every record say that its picture has several colours."""
        for path in pictures(directory):
            was = open_picture(path)
            record = json.loads(was.record)
            record["output"]["single_colour"] = False
            path.write_bytes(encode(was.pixels, json.dumps(record), was.parameters, 1))
