from cio_activation_tests.pipedrive.bench import bench, make

__all__ = ["bench", "make"]
