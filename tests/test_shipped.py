from pathlib import Path

from batchgen.shipped import shipped, shipped_model


def test_a_checkout_has_its_folders_at_the_root() -> None:
    assert (shipped("conf") / "job.yaml").is_file()


def test_an_installed_package_has_its_folders_inside_whatever_lies_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "site-packages" / "batchgen"
    (package / "conf").mkdir(parents=True)
    (tmp_path / "lib" / "conf").mkdir()
    assert shipped("conf", package) == package / "conf"
    assert shipped("manifests", package) == tmp_path / "lib" / "manifests"


def test_embedded_models_are_package_data(tmp_path: Path) -> None:
    assert shipped_model("demo_shapes", tmp_path) == tmp_path / "demo" / "models" / "demo_shapes"
