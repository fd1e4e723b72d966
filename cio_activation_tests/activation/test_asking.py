"""How an activation says who acts, as people write it."""

from pathlib import Path

from cio_activation.activation.actions import Queue, Rotation
from cio_activation_tests.drivers.builders import load

FILE = """
attributes: {seen: {type: text}}
audiences:
  a: {label: A, owner: o@example.com, segment: 1, lane: daily,
      deliver: {hubspot: {task: {subject: Call, owner: [record_owner, {rotate: [a@example.com, b@example.com]}, {queue: "7"}]}}}}
destinations: {hubspot: {}}
"""


def test_turns_and_queues_are_read_from_the_file(tmp_path: Path) -> None:
    (ask,) = load(tmp_path, FILE).audiences["a"].asks().values()
    assert ask.owners == ("record_owner", Rotation(rotate=("a@example.com", "b@example.com")), Queue(queue="7"))
