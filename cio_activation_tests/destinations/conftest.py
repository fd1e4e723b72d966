from cio_activation_tests.drivers.warm import warm

__all__ = ["warm"]
