from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.engine import Runtime
from batchgen.run import messages
from batchgen.store.record import Asked


def there_and_back(message):
    line = messages.encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    return messages.decode(line)


MADE = messages.Made(
    number=3,
    id="ab",
    file=Path("/tmp/ü.png"),
    record=Path("/tmp/ü.json"),
    bytes=9,
    file_sha256="f",
    pixel_sha256="p",
    seconds=0.5,
    attempt=2,
)


@pytest.mark.parametrize(
    "message",
    [
        messages.SetUp(runtime=Runtime(engine="fake", batch=3), tmp=Path("/tmp/x y"), compression=4, manifest=None),
        messages.SetUp(runtime=Runtime(), tmp=Path("/"), compression=0, manifest={"name": "a", "sha256": "b"}),
        messages.Stop(),
        messages.Opened(seconds=1.5),
        messages.Begun(number=1),
        messages.Step(step=7),
        messages.Rendered(number=2),
        MADE,
        messages.Refused(number=2, ids=("a", "b"), reason="no\nmemory", trouble="out_of_memory"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_every_message_arrives_as_it_was_sent(message):
    assert there_and_back(message) == message


def test_a_model_arrives_with_its_path(a):
    message = there_and_back(messages.Open(model=a.model()))

    assert message.model.path == "/models/toy"
    assert message.model == a.model()


@given(prompt=st.text(max_size=100), name=st.none() | st.text(max_size=9))
def test_jobs_arrive_with_any_prompt(a, prompt, name):
    """Also with a lone surrogate, which nothing but this line has to bear."""
    cell = a.cell(prompt=prompt, precision="fp32", distilled_guidance=3.5)
    message = messages.Render(
        number=1, asked=(Asked(job=cell.job, name=name, note=prompt),), attempt=2, degradations=("halved",)
    )

    arrived = there_and_back(message)

    assert arrived == message
    assert arrived.asked[0].job.text.prompt == prompt
    assert arrived.asked[0].job.model.path == "/models/toy"
