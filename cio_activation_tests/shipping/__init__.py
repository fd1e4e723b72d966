"""What is shipped: the wheel, the processes of a deployment, backup and restore, the documentation site."""
