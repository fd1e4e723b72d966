"""The command line ``cio-activation``: one module per command; ``output`` is how all of them speak."""

import sys

from cio_activation.errors import ConfigError

try:
    import cio_activation.warehouse.file_locks  # noqa: F401
except ConfigError as error:  # a platform that is not supported: no command can begin
    sys.exit(str(error))
