from cio_activation_tests.destinations.pipedrive.bench import bench, make

__all__ = ["bench", "make"]
