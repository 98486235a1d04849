"""`staleproof worker`: the pipeline as a long-lived process, for ECS, EC2 and anything else that runs programs."""
