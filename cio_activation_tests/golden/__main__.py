"""``python -m cio_activation_tests.golden``: prints how the reviewed texts differ; ``--update`` writes them anew."""

from __future__ import annotations

import sys

from cio_activation_tests.golden import texts


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 if nothing differs (any more), 1 if something does, 2 for arguments nobody knows."""
    if arguments not in ([], ["--update"]):
        print("usage: python -m cio_activation_tests.golden [--update]", file=sys.stderr)
        return 2
    found = texts.now()
    told = texts.differences(found)
    print(told or "nothing differs")
    if arguments:
        texts.write(found)
        return 0
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
