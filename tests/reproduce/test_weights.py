import pytest

from batchgen.errors import ModelError
from batchgen.reproduce.weights import Weights


def test_weights_that_go_by_another_name_now_are_found_by_their_digest(a):
    record = a.record(a.job(of=a.model("toy")))
    renamed = a.model("renamed", digest=a.model("toy").digest)

    found = Weights(a.confs({"renamed": renamed, "toy": a.model("toy", digest="0" * 64)})).of(record)

    assert found.path == "/models/renamed"


def test_other_models_are_hashed_only_if_the_recorded_name_stands_for_another(a):
    confs = a.confs({"a": a.model("a"), "toy": a.model("toy"), "z": a.model("z")})

    Weights(confs).of(a.record(a.job(of=a.model("toy"))))

    assert confs.asked == ["toy"]


def test_models_of_other_families_are_not_hashed(a):
    confs = a.confs({"a": a.model("a", family="sdxl"), "b": a.model("b")})

    with pytest.raises(ModelError):
        Weights(confs).of(a.record(a.job()))

    assert confs.asked == ["b"]


def test_weights_that_are_not_here_are_asked_for_by_digest_with_what_is_here_instead(a):
    confs = a.confs({"other": a.model("other"), "toy": "looked for /models/toy", "lost": "not here"})

    with pytest.raises(ModelError) as error:
        Weights(confs).of(a.record(a.job(of=a.model("toy"))))

    message = str(error.value)
    assert a.model("toy").digest in message
    assert f"other is {a.model('other').digest[:12]}" in message
    assert "looked for /models/toy" in message
    assert "lost is not here" in message


def test_what_was_not_found_is_not_looked_for_again(a):
    confs = a.confs({"toy": "not here"})
    weights = Weights(confs)
    for seed in range(3):
        with pytest.raises(ModelError, match="digest"):
            weights.of(a.record(a.job(seed)))

    assert confs.asked == ["toy"]


@pytest.mark.parametrize("said", [None, {}, {"family": 3, "name": "toy"}])
def test_a_record_that_says_no_model_is_refused_in_words(a, said):
    with pytest.raises(ModelError, match="does not say"):
        Weights(a.confs()).of({**a.record(a.job()), "model": said})
