"""Files that cannot be read at all, and what YAML holds besides plain values."""

from pathlib import Path

import pytest

from cio_activation.activation.problems import Problems
from cio_activation.activation.source import read_source
from cio_activation.errors import ConfigError


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "activation.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "activation.yaml:1: is not a mapping of keys to values"),
        ("# nothing\n", "is not a mapping of keys to values"),
        ("- a\n- b\n", "is not a mapping of keys to values"),
        ("just text", "is not a mapping of keys to values"),
        ("a: 1\nb: [1, 2\nc: 3\n", "activation.yaml:3: is not YAML: "),
        ("a: b: c", "activation.yaml:1: is not YAML: mapping values are not allowed here"),
        ("\ta: 1", "is not YAML"),
        ("a: 'x", "is not YAML"),
        ("a: \x00", "is not YAML"),
        ("a: 1\n---\nb: 2", "is not YAML"),
        ("a: *nowhere", "is not YAML"),
        (b"a: \xff\xfe", "is not UTF-8 text; save it as UTF-8"),
        ("a: &x [*x]", "aliases make the file endless at line 1"),
        ("a: &x {b: *x}", "aliases make the file endless at line 1"),
    ],
)
def test_a_file_that_is_no_mapping_is_told_at_once(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_source(write(tmp_path, content), Problems("activation.yaml"))
    assert told in str(caught.value)


def test_a_bomb_of_aliases_is_refused_before_it_is_built(tmp_path: Path) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="aliases make the file endless"):
        read_source(write(tmp_path, "\n".join(layers)), Problems("activation.yaml"))


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; set ACTIVATION_FILE"):
        read_source(tmp_path / "activation.yaml", Problems("activation.yaml"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_source(tmp_path, Problems("activation.yaml"))


@pytest.mark.parametrize(
    "content", ["a: !!python/object/apply:os.system ['true']", "a: !secret x", "a: !!binary aGk=", "a: !x {b: 1}"]
)
def test_a_tag_is_never_obeyed(tmp_path: Path, content: str) -> None:
    problems = Problems("activation.yaml")
    assert read_source(write(tmp_path, content), problems) == {"a": None}
    with pytest.raises(ConfigError, match=r"activation.yaml:1: a: the tag .* is not supported; write a plain value"):
        problems.stop()


def test_plain_values_and_their_lines(tmp_path: Path) -> None:
    problems = Problems("activation.yaml")
    content = "a: &one {on: off, n: 1_000}\nb:\n  - 1.5\n  - {c: 0-30}\nd: *one\ne: 12:30\nf: ~\n"
    data = read_source(write(tmp_path, content), problems)
    assert data == {
        "a": {"on": "off", "n": 1000},
        "b": [1.5, {"c": "0-30"}],
        "d": {"on": "off", "n": 1000},
        "e": "12:30",
        "f": None,
    }
    assert problems.line(("b", 1, "c")) == 4
    assert problems.line(("b", 1, "c", "deeper")) == 4
    assert problems.line(("nowhere",)) == 1
    problems.stop()
