from cio_activation_tests.drivers.pipedrive import bench, make

__all__ = ["bench", "make"]
