"""The command line ``cio-activation``: one module per command; ``output`` is how all of them speak."""
