"""What is handed out beside the code: manifests for Kubernetes, users for RabbitMQ."""
