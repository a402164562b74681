import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from batchgen.engine import Runtime
from batchgen.errors import ConfError, ModelError
from batchgen.models.find import Source
from batchgen.settings import Settings, load_settings, parse_words
from batchgen.settings.conf import Conf, literal, resolved
from batchgen.shipped import shipped, shipped_model

Load = Callable[..., Settings]

MINE = "family: sdxl\nsource: {file: mine.safetensors}\nrecommended: {steps: 7}\n"
CANARY = "s3cr3t-canary"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load settings in an empty working directory that may have a conf/ of its own, with an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    cwd = tmp_path / "work"
    cwd.mkdir()
    return lambda *words, saved=None: load_settings(parse_words(words), cwd=cwd, saved=saved)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file of the person's own conf/."""

    def written(name: str, text: str) -> Path:
        path = tmp_path / "work" / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return written


def complaint(load: Load, *words: str) -> str:
    with pytest.raises(ConfError) as caught:
        load(*words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is there without anybody's doing


def test_without_words_the_shipped_conf_holds(load: Load, tmp_path: Path) -> None:
    settings = load()
    assert settings.runtime == Runtime()
    assert (settings.output.root, settings.output.sheets) == (tmp_path / "work" / "outputs", True)
    assert settings.paths.models == (tmp_path / "work" / "models",)
    assert settings.paths.cache == tmp_path / "home" / ".cache" / "batchgen"
    assert settings.default_model == settings.recipe["model"] == "demo_shapes"
    assert "steps" not in settings.recipe
    assert "demo_shapes" in settings.model_names()


def test_the_cache_follows_the_desktop_standard(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert load().paths.cache == Path("/elsewhere/batchgen")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert load().paths.cache.name == "batchgen"
    assert load().paths.cache.is_absolute()


# Words


def test_words_choose_options_and_set_values(load: Load, tmp_path: Path) -> None:
    settings = load("runtime=cuda", "runtime.batch=4", "output=fast", "output.root=/data", "paths.models=[a,/b,'~/c']")
    assert (settings.runtime.device, settings.runtime.batch) == ("cuda", 4)
    assert (settings.output.root, settings.output.compression) == (Path("/data"), 1)
    assert settings.paths.models == (tmp_path / "work" / "a", Path("/b"), tmp_path / "home" / "c")
    assert load("paths.models=a").paths.models == (tmp_path / "work" / "a",)


def test_clips_are_kept_as_the_option_or_a_word_says_and_as_mp4_where_a_saved_run_says_nothing(load, tmp_path) -> None:
    assert (load().output.clips, load().output.clip_quality) == ("mp4", 80)
    settings = load("output.clips=frames", "output.clip_quality=55")
    assert (settings.output.clips, settings.output.clip_quality) == ("frames", 55)
    saved = tmp_path / "settings.yaml"
    saved.write_text(settings.save())
    assert load(saved=saved).output.clips == "frames"
    saved.write_text("model: demo_shapes\noutput: {root: /data, compression: 1, sheets: true}\n")
    assert (load(saved=saved).output.clips, load(saved=saved).output.clip_quality) == ("mp4", 80)


def test_sheets_lie_as_the_option_or_a_word_says_and_as_png_where_a_saved_run_says_nothing(load, tmp_path) -> None:
    assert load().output.sheet_format == load("output=fast").output.sheet_format == "png"
    assert load("output.sheet_format=webp").output.sheet_format == "webp"
    saved = tmp_path / "settings.yaml"
    saved.write_text("model: demo_shapes\noutput: {root: /data, compression: 1, sheets: true}\n")
    assert load(saved=saved).output.sheet_format == "png"


def test_the_order_of_words_does_not_matter(load: Load) -> None:
    assert load("runtime.batch=4", "runtime=cuda").runtime == load("runtime=cuda", "runtime.batch=4").runtime


def test_a_precision_that_the_runtime_asks_for_is_what_jobs_ask_for_that_say_nothing(load: Load, write: Load) -> None:
    assert load("runtime.precision=fp32").recipe["precision"] == "fp32"
    write("job.yaml", "defaults: [_self_, {model: sdxl}]\nprecision: bf16\nsteps: 12\n")
    settings = load("runtime.precision=fp32")
    assert dict(settings.recipe) == {"model": "sdxl", "precision": "bf16", "steps": 12}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("runtime=cudda", "runtime=cudda: unknown runtime 'cudda'; did you mean 'cuda'? (known: auto, cpu, cuda, mps)"),
        ("runtime=../../x", "unknown runtime '../../x'"),
        ("runtime=4", "unknown runtime '4'"),
        ("output=/etc/passwd", "unknown output '/etc/passwd'"),
        ("runtime.bach=4", "unknown key of runtime 'bach'; did you mean 'batch'?"),
        ("runtime.batch.x=4", "unknown key of runtime 'batch.x'"),
        ("runtime.batch=four", "runtime.batch=four: batch: must be a valid integer, not 'four'"),
        ("runtime.batch=true", "batch: must be a valid integer, not True"),
        ("runtime.batch=-1", "batch: must be greater than or equal to 0, not -1"),
        ("runtime.device=gpu", "device: must be 'auto', 'cpu', 'cuda' or 'mps', not 'gpu'"),
        ("runtime.memory=null", "memory: must be"),
        ("output.sheets=1", "sheets: must be a valid boolean, not 1"),
        ("output.sheet_format=gif", "sheet_format: must be 'png', 'jpeg' or 'webp', not 'gif'"),
        ("output.compression=10", "compression: must be less than or equal to 9, not 10"),
        ("output.clips=mov", "clips: must be 'mp4', 'webm', 'gif', 'webp' or 'frames', not 'mov'"),
        ("output.clip_quality=-1", "clip_quality: must be greater than or equal to 0, not -1"),
        ("output.root=2024", "root: must be a valid string, not 2024"),
        ("output.root=''", "root: "),
        ("paths=x", "paths is set key by key: paths.models=..."),
        ("paths.models=[1]", "models: "),
    ],
)
def test_a_wrong_word_is_refused_with_what_is_right(load: Load, word: str, said: str) -> None:
    assert said in complaint(load, word)


def test_dollars_in_a_word_are_text_and_stay_text_in_what_is_saved(load: Load, tmp_path: Path) -> None:
    word = r"output.root='/data/${oc.env:HOME}/\${x}'"
    settings = load(word)
    assert settings.output.root == Path(r"/data/${oc.env:HOME}/\${x}")
    (tmp_path / "settings.yaml").write_text(settings.save())
    assert load(saved=tmp_path / "settings.yaml").output.root == settings.output.root


@given(st.text(st.sampled_from("\\${}a:?"), max_size=12))
def test_literal_text_comes_back_from_omegaconf_as_it_was(text: str) -> None:
    if text == "???":
        return
    assert resolved({"key": literal(text), "list": literal([text])}) == {"key": text, "list": [text]}


# A person's own conf/


def test_a_persons_file_takes_the_place_of_the_shipped_one_whole(load: Load, write: Load) -> None:
    write("runtime/cuda.yaml", "device: cuda\nbatch: 8\n")
    write("model/sdxl.yaml", MINE)
    write("model/mine.yaml", MINE)
    settings = load("runtime=cuda")
    assert settings.runtime == Runtime(device="cuda", batch=8)
    assert settings.model("sdxl").source == Source(file=("mine.safetensors",))
    assert dict(settings.model("sdxl").recommended) == {"steps": 7}
    assert settings.model("sdxl").where == "conf/model/sdxl.yaml"
    assert {"mine", "sd15", "sdxl"} <= set(settings.model_names())
    assert settings.model("sd15").source.hub == "stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.mark.parametrize("word", ["07:30", "'07:30'", "7:30", "23:00"])
def test_a_run_may_have_a_time_of_day_to_stop_at(load: Load, word: str) -> None:
    assert load(f"runtime.stop_at={word}").runtime.stop_at == word.strip("'")


def test_a_time_that_yaml_reads_as_a_number_is_refused_with_the_way_to_write_it(
    load: Load, write: Callable[[str, str], Path]
) -> None:
    write("runtime/night.yaml", "device: cpu\nstop_at: 10:00\n")

    said = complaint(load, "runtime=night")

    assert said == 'conf/runtime/night.yaml:2: stop_at: must be a time of day in quotes, such as "07:30", not 600'


def test_the_next_folder_is_not_shadowed_by_the_last(load: Load, write: Load, tmp_path: Path) -> None:
    write("runtime/auto.yaml", "batch: 8\n")
    (tmp_path / "other").mkdir()
    assert load().runtime.batch == 8
    assert load_settings(parse_words([]), cwd=tmp_path / "other").runtime.batch == 0
    assert load().runtime.batch == 8


def test_a_folder_with_spaces_and_other_letters_is_a_folder(tmp_path: Path) -> None:
    cwd = tmp_path / "mit Leer zeichen, Ümläüten=x"
    (cwd / "conf" / "runtime").mkdir(parents=True)
    (cwd / "conf" / "runtime" / "auto.yaml").write_text("batch: 3\n")
    assert load_settings(parse_words([]), cwd=cwd).runtime.batch == 3


def test_in_a_checkout_its_conf_is_no_persons_own() -> None:
    checkout = shipped("conf").parent
    assert Conf(cwd=checkout).folders == (shipped("conf"),)
    assert Conf(cwd=checkout).place("job", "steps").startswith("conf/job.yaml:")


def test_an_option_may_be_built_on_another(load: Load, write: Load) -> None:
    write("model/mine.yaml", "defaults: [sdxl, _self_]\nrecommended: {steps: 11}\n")
    conf = load().model("mine")
    assert (conf.name, conf.family, conf.recommended["steps"], conf.recommended["width"]) == ("mine", "sdxl", 11, 1024)


def test_a_sampler_option_sets_fields_of_the_recipe(load: Load, write: Load) -> None:
    write("sampler/sharp.yaml", "# @package _global_\nsampler: dpmpp_2m\nschedule: karras\nsteps: 30\n")
    write("sampler/sharper.yaml", "# @package _global_\ndefaults: [sharp, _self_]\nsteps: 40\n")
    settings = load()
    assert dict(settings.sampler("sharp")) == {"sampler": "dpmpp_2m", "schedule": "karras", "steps": 30}
    assert dict(settings.sampler("sharper")) == {"sampler": "dpmpp_2m", "schedule": "karras", "steps": 40}
    assert {"sharp", "sharper"} <= set(settings.sampler_names())
    write("job.yaml", "defaults: [_self_, {model: sdxl}, {sampler: sharp}]\nsteps: 5\n")
    assert {"sampler": "dpmpp_2m", "steps": 30}.items() <= load().recipe.items()


def test_an_option_is_read_when_it_is_named_and_once(load: Load, write: Load) -> None:
    path = write("model/mine.yaml", MINE)
    write("model/broken.yaml", "family: [")
    settings = load()
    first = settings.model("mine")
    path.unlink()
    assert settings.model("mine") is first


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("model/mine.yaml", MINE + "famly: x\n", "conf/model/mine.yaml:4: unknown key 'famly'; did you mean 'family'?"),
        ("model/mine.yaml", "family: sdxl\n", "conf/model/mine.yaml: source is missing"),
        ("model/mine.yaml", "family: sdxl\nsource:\n  foldr: x\n", "conf/model/mine.yaml:3: unknown key 'foldr'"),
        ("model/mine.yaml", MINE.replace("7", "0"), "conf/model/mine.yaml:3: steps: must be greater than or equal"),
        ("model/mine.yaml", "- a\n", "conf/model/mine.yaml: is no mapping"),
        ("model/mine.yaml", "a: [\n", "mine.yaml:2: is no YAML"),
        ("model/mine.yaml", "family: ${nope.nope}\nsource: {folder: x}\n", "conf/model/mine.yaml:1: family: "),
        ("model/mine.yaml", "family: ???\nsource: {folder: x}\n", "conf/model/mine.yaml:1: family: "),
        ("model/mine.yaml", "defaults: [nope]\n", "conf/model/mine.yaml: In 'model/mine': Could not load 'model/nope'"),
    ],
)
def test_a_wrong_option_says_file_line_and_what_is_right(
    load: Load, write: Load, name: str, text: str, said: str
) -> None:
    write(name, text)
    with pytest.raises(ConfError) as caught:
        load().model("mine")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("job.yaml", "defaults: [_self_, {model: sdxl}]\nstps: 4\n", "conf/job.yaml:2: unknown key 'stps'"),
        ("job.yaml", "defaults: [_self_, {model: sdxl}]\nsteps: 0\n", "conf/job.yaml:2: steps: must be greater"),
        (
            "job.yaml",
            "defaults: [_self_, {model: sdxl}]\npaths: {modls: [x]}\n",
            "conf/job.yaml:2: unknown key of paths",
        ),
        ("job.yaml", "defaults: [_self_, {model: sdxl}]\npaths: 3\n", "conf/job.yaml:2: paths is no mapping"),
        ("job.yaml", "steps: 4\n", "conf/job.yaml: its defaults list names no model"),
        ("job.yaml", "defaults: [_self_, {model: nope}]\n", "conf/job.yaml: In 'job': Could not find 'model/nope'"),
        ("job.yaml", "defaults: [\n", "job.yaml:2: is no YAML"),
        (
            "runtime/auto.yaml",
            "batch: 2\nthreds: 1\n",
            "conf/runtime/auto.yaml:2: unknown key of runtime 'threds'; did",
        ),
        ("runtime/auto.yaml", "batch: yes\n", "conf/runtime/auto.yaml:1: batch: must be a valid integer"),
        (
            "output/default.yaml",
            "root: ${oc.env:NOPE_}\n",
            "conf/output/default.yaml:1: output.root: KeyError raised",
        ),
    ],
)
def test_a_wrong_file_says_file_line_and_what_is_right(
    load: Load, write: Load, name: str, text: str, said: str
) -> None:
    write(name, text)
    assert said in complaint(load)


def test_an_unknown_model_or_sampler_is_answered_with_the_nearest(load: Load) -> None:
    settings = load()
    with pytest.raises(ConfError, match=r"unknown model 'sdxk'; did you mean 'sdxl'\?"):
        settings.model("sdxk")
    with pytest.raises(ConfError, match=r"unknown model '\.\./\.\./x'"):
        settings.model("../../x")
    with pytest.raises(ConfError, match="unknown sampler 'nope'"):
        settings.sampler("nope")


# What is saved


def test_secrets_of_the_environment_are_used_and_never_saved(
    load: Load, write: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", CANARY)
    write("output/default.yaml", "root: /data/${oc.env:MY_SECRET}\n")
    write("model/mine.yaml", "family: sdxl\nsource: {folder: '/data/${oc.env:MY_SECRET}'}\n")
    settings = load("output.compression=2")
    assert settings.output.root == Path("/data") / CANARY
    assert settings.model("mine").source.folder == f"/data/{CANARY}"
    text = settings.save()
    assert CANARY not in text
    assert text.count("${oc.env:MY_SECRET}") == 2
    (tmp_path / "settings.yaml").write_text(text)
    again = load(saved=tmp_path / "settings.yaml")
    assert again.output == settings.output
    assert again.model("mine").source == settings.model("mine").source


def test_a_resumed_run_holds_to_what_was_saved_whatever_changed_since(load: Load, write: Load, tmp_path: Path) -> None:
    write("model/mine.yaml", MINE)
    write("sampler/mine.yaml", "# @package _global_\nsampler: euler\nschedule: karras\n")
    before = load("runtime=cuda", "runtime.batch=2", "paths.models=[m]")
    conf, fields = before.model("mine"), before.sampler("mine")
    (tmp_path / "settings.yaml").write_text(before.save())
    for name in ("model/mine.yaml", "sampler/mine.yaml", "job.yaml", "runtime/cuda.yaml"):
        write(name, "broken: [")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    after = load_settings(parse_words([]), cwd=elsewhere, saved=tmp_path / "settings.yaml")
    assert (after.runtime, after.output, after.paths) == (before.runtime, before.output, before.paths)
    assert dict(after.recipe) == dict(before.recipe)
    assert (after.model("mine").source, after.model("mine").recommended) == (conf.source, conf.recommended)
    assert after.sampler("mine") == fields
    assert "mine" in after.model_names()
    assert yaml.safe_load(after.save()) == yaml.safe_load(before.save())


def test_words_overrule_what_was_saved(load: Load, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(load("runtime=cuda", "runtime.batch=2").save())
    resumed = load("runtime=cpu", "output.sheets=false", saved=tmp_path / "settings.yaml")
    assert resumed.runtime == Runtime(device="cpu")
    assert resumed.output.sheets is False


@pytest.mark.parametrize("text", ["", "[1]", "steps: 4", "model: 3", "a: [", "\udcff", "model: m\nmodels: [a]"])
def test_a_settings_file_that_no_run_has_saved_is_refused(load: Load, tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfError, match=r"settings\.yaml"):
        load(saved=path)


def test_a_wrong_value_in_a_saved_file_is_named_with_its_line(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("model: mine\nmodels:\n  mine:\n    family: sd16\n    source: {folder: x}\nruntime:\n  batch: 1\n")
    with pytest.raises(ConfError, match=rf"{path}:4: unknown family 'sd16'"):
        load(saved=path).model("mine")
    path.write_text("model: mine\nruntime:\n  batch: x\n")
    with pytest.raises(ConfError, match=rf"{path}:3: batch: "):
        load(saved=path)


# Models on this machine


def test_a_model_is_resolved_once_and_hashed_only_where_it_changed(load: Load, write: Load, tmp_path: Path) -> None:
    folder = tmp_path / "work" / "models" / "tiny"
    shutil.copytree(shipped_model("demo_shapes"), folder)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    write("model/mine.yaml", "family: sd15\nsource: {folder: tiny}\n")
    seen: list[str] = []

    def on_hash(path: Path, done: int, total: int) -> None:
        seen.append(path.name)

    settings = load()
    model = settings.resolve("mine", on_hash)
    assert (model.name, model.family, model.path) == ("mine", "sd15", str(folder))
    assert settings.resolve("mine", on_hash) is model
    assert load().resolve("mine", on_hash) == model
    assert {"model_index.json", "scheduler_config.json", "merges.txt", "model.safetensors"} <= set(seen)
    hashed = len(seen)
    scheduler.write_text(scheduler.read_text() + "\n")
    assert load().resolve("mine", on_hash) != model
    assert seen[hashed:] == ["scheduler_config.json"]


def test_a_model_that_is_not_here_says_where_it_was_looked_for(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load().resolve("realvisxl_v30_turbo")
    assert str(tmp_path / "work" / "models") in str(caught.value)
    assert "paths.models=" in str(caught.value)


# Hydra stays within


def test_hydras_state_is_put_back_also_after_an_error(load: Load, write: Load) -> None:
    from hydra.core.global_hydra import GlobalHydra

    load()
    write("job.yaml", "defaults: [{model: nope}]\n")
    complaint(load)
    assert not GlobalHydra.instance().is_initialized()


def test_a_program_that_uses_hydra_itself_is_not_disturbed(load: Load, write: Load, tmp_path: Path) -> None:
    from hydra import compose, initialize_config_dir

    (tmp_path / "theirs.yaml").write_text("a: 1\n")
    write("theirs.yaml", "a: 2\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert load().runtime == Runtime()
        assert compose("theirs").a == 1
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert compose("theirs").a == 1


def in_a_fresh_process(code: str, *words: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


HEAVY = (
    "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'hydra', 'omegaconf', 'huggingface_hub'}))"
)


def test_importing_settings_imports_neither_torch_nor_hydra() -> None:
    assert in_a_fresh_process(f"import sys, batchgen.settings; {HEAVY}") == "[]"


def test_resuming_needs_no_hydra_and_composing_no_torch(load: Load, tmp_path: Path) -> None:
    settings = load()
    settings.model("sdxl")
    (tmp_path / "settings.yaml").write_text(settings.save())
    code = (
        "import sys; from pathlib import Path; from batchgen.settings import *\n"
        "saved = Path(sys.argv[2]) if sys.argv[2:] else None\n"
        "load_settings(parse_words([]), cwd=Path(sys.argv[1]), saved=saved).model('sdxl')\n"
    )
    assert in_a_fresh_process(code + HEAVY, str(tmp_path), str(tmp_path / "settings.yaml")) == "[]"
    assert in_a_fresh_process(code + HEAVY, str(tmp_path)) == "['hydra', 'omegaconf']"


@pytest.mark.parametrize(("word", "degrees"), [("80", 80), ("30", 30), ("120", 120), ("null", None)])
def test_a_run_may_have_a_limit_to_the_heat_of_gpus(load: Load, word: str, degrees: int | None) -> None:
    assert load(f"runtime.max_gpu_temperature={word}").runtime.max_gpu_temperature == degrees


@pytest.mark.parametrize("word", ["29", "121", "80.5", "true", "hot"])
def test_degrees_that_no_gpu_is_run_at_are_refused(load: Load, word: str) -> None:
    assert "max_gpu_temperature: must be" in complaint(load, f"runtime.max_gpu_temperature={word}")


@pytest.mark.parametrize(("word", "seconds"), [("0", 0.0), ("0.05", 0.05), ("60", 60.0)])
def test_bookmarks_are_as_far_apart_as_a_person_says(load: Load, word: str, seconds: float) -> None:
    assert load().runtime.checkpoint_every == Runtime().checkpoint_every == 30
    assert load(f"runtime.checkpoint_every={word}").runtime.checkpoint_every == seconds


@pytest.mark.parametrize("word", ["-1", "86401", "null", "true", "often", "nan"])
def test_seconds_that_are_none_are_refused(load: Load, word: str) -> None:
    assert "checkpoint_every: must be" in complaint(load, f"runtime.checkpoint_every={word}")
